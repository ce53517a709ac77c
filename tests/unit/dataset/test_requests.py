"""Tests of who is asked about, at which moment, with which history and candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, gather_ranges, make_requests, make_slate_requests, search_sorted
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError

ITEMS = Vocabulary("item_id", list("abcdef"))


@pytest.fixture(scope="module")
def store() -> HistoryStore:
    """x: a10 b20 c20 d30; y: ?10 e20 f40 (the first is unknown)."""
    frame = pd.DataFrame(
        {"user_id": list("xxxxyyy"), "item_id": list("abcd?ef"), "timestamp": [10, 20, 20, 30, 10, 20, 40]}
    )
    return HistoryStore.from_frame(frame, ITEMS)


def visible(store: HistoryStore, requests: Requests) -> list[str]:
    return [
        "".join(store.item_vocabulary.decode(store.items[start:stop]))
        for start, stop in zip(requests.starts, requests.stops, strict=True)
    ]


def test_every_user_is_asked_just_after_the_end_of_the_history_by_default(store: HistoryStore) -> None:
    requests = make_requests(store)
    assert requests.user_ids.tolist() == ["x", "y"]
    assert requests.request_ids.tolist() == [0, 1]
    assert requests.as_of is not None
    assert requests.as_of.tolist() == [41, 41]
    assert visible(store, requests) == ["abcd", "ef"]
    assert requests.lengths.tolist() == [4, 2]
    assert requests.candidates is None


@pytest.mark.parametrize("ties", ["exclude", "order"])
@pytest.mark.parametrize(("as_of", "seen"), [(10, ""), (20, "a"), (21, "abc"), (30, "abc"), (31, "abcd"), (-5, "")])
def test_a_request_sees_what_lies_before_its_moment_and_nothing_at_it(
    store: HistoryStore, as_of: int, seen: str, ties: Any
) -> None:
    assert visible(store, make_requests(store, ["x"], as_of=as_of, ties=ties)) == [seen]


def test_a_moment_in_the_frame_wins_over_as_of(store: HistoryStore) -> None:
    frame = pd.DataFrame({"user_id": ["x", "y", "x"], "timestamp": [20, 25, 35]})
    requests = make_requests(store, frame, as_of=1)
    assert visible(store, requests) == ["a", "e", "abcd"]
    assert requests.as_of is not None
    assert requests.as_of.tolist() == [20, 25, 35]


def test_a_position_cuts_inside_a_moment_only_when_ties_keep_their_order(store: HistoryStore) -> None:
    frame = pd.DataFrame({"user_id": ["x"] * 5, "timestamp": [10, 20, 20, 30, 40], "position": range(5)})
    assert visible(store, make_requests(store, frame, ties="order")) == ["", "a", "ab", "abc", "abcd"]
    assert visible(store, make_requests(store, frame, ties="exclude")) == ["", "a", "a", "abc", "abcd"]


def test_a_position_counts_rows_of_the_given_log_dropped_ones_among_them(store: HistoryStore) -> None:
    frame = pd.DataFrame({"user_id": ["y"] * 5, "timestamp": 40, "position": [0, 1, 2, 3, 9]})
    assert visible(store, make_requests(store, frame, ties="order")) == ["", "", "e", "ef", "ef"]


def test_an_order_only_store_knows_positions_but_no_moments() -> None:
    frame = pd.DataFrame({"user_id": list("xxx"), "item_id": list("abc"), "timestamp": range(3)})
    store = HistoryStore.from_frame(frame, ITEMS, time="order")
    requests = make_requests(store, pd.DataFrame({"user_id": ["x", "x"], "position": [1, 2]}))
    assert visible(store, requests) == ["a", "ab"]
    assert requests.as_of is None
    assert visible(store, make_requests(store, ["x"])) == ["abc"]


def test_users_without_history_see_nothing(store: HistoryStore) -> None:
    requests = make_requests(store, ["nobody", "x"], as_of=25)
    assert visible(store, requests) == ["", "abc"]
    assert requests.users.tolist() == [-1, 0]
    assert requests.user_ids.tolist() == ["nobody", "x"]


def test_requests_over_an_empty_store_see_nothing() -> None:
    store = HistoryStore.from_frame(pd.DataFrame({"user_id": [], "item_id": [], "timestamp": []}), ITEMS)
    requests = make_requests(store, ["x", "y"])
    assert visible(store, requests) == ["", ""]
    assert requests.as_of is not None
    assert requests.as_of.tolist() == [0, 0]
    assert len(make_requests(store)) == 0


def test_no_requests_are_an_empty_carrier(store: HistoryStore) -> None:
    assert len(make_requests(store, [])) == 0
    slate = pd.DataFrame({"user_id": ["x"], "item_id": ["a"]}).iloc[:0]
    requests = make_slate_requests(store, slate)
    assert len(requests) == 0
    assert requests.offsets is not None
    assert requests.offsets.tolist() == [0]


def test_further_columns_are_context_and_request_ids_are_kept(store: HistoryStore) -> None:
    frame = pd.DataFrame({"request_id": ["r9", "r1"], "user_id": ["y", "x"], "hour": [7, 8]}, index=[5, 3])
    requests = make_requests(store, frame)
    assert requests.request_ids.tolist() == ["r9", "r1"]
    assert requests.context is not None
    assert requests.context.to_dict("list") == {"hour": [7, 8]}
    assert make_requests(store).context is None


def test_a_frame_without_users_is_refused(store: HistoryStore) -> None:
    with pytest.raises(DataError, match=r"requests has no column 'user_id'; it has \['user'\]"):
        make_requests(store, pd.DataFrame({"user": ["x"]}))


def slate() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": list("yxyxy"),
            "item_id": ["a", "b", "zzz", "d", "c"],
            "timestamp": [25, 35, 25, 35, 45],
            "label": [0.0, 1, 0, 0, 1],
            "weight": [1.0, 2, 3, 4, 5],
            "hour": [1, 2, 3, 4, 5],
        },
        index=[9, 8, 7, 6, 5],
    )


def test_a_slate_groups_rows_of_one_user_at_one_moment_in_order_of_appearance(store: HistoryStore) -> None:
    requests = make_slate_requests(store, slate())
    assert requests.user_ids.tolist() == ["y", "x", "y"]
    assert visible(store, requests) == ["e", "abcd", "ef"]
    assert requests.offsets is not None
    assert requests.offsets.tolist() == [0, 2, 4, 5]
    assert requests.candidates is not None
    assert requests.candidates.tolist() == [1, -1, 2, 4, 3]
    assert requests.rows is not None
    assert requests.rows.tolist() == [0, 2, 1, 3, 4]


def test_labels_and_weights_of_a_slate_go_with_their_candidates_and_context_is_of_the_first_row(
    store: HistoryStore,
) -> None:
    requests = make_slate_requests(store, slate())
    assert requests.labels is not None
    assert requests.labels.tolist() == [0, 0, 1, 0, 1]
    assert requests.weights is not None
    assert requests.weights.tolist() == [1, 3, 2, 4, 5]
    assert requests.context is not None
    assert requests.context.to_dict("list") == {"hour": [1, 2, 5]}


def test_rows_in_different_contexts_are_different_requests(store: HistoryStore) -> None:
    frame = slate().assign(user_id="x", timestamp=25, hour=[1, None, 1, 2, None], tags=[["p"], ["p"], ["p"], ["q"], []])
    for context, rows in ((["hour", "absent"], [0, 2, 1, 4, 3]), (["tags"], [0, 1, 2, 3, 4]), ([], [0, 1, 2, 3, 4])):
        requests = make_slate_requests(store, frame, context=context)
        assert requests.rows is not None
        assert requests.rows.tolist() == rows
        assert len(requests) == (3 if context else 1)
    assert make_slate_requests(store, frame, context=["hour", "tags"]).lengths.tolist() == [3] * 4


def test_one_request_in_two_contexts_is_refused(store: HistoryStore) -> None:
    frame = slate().assign(request_id=[1, 1, 2, 2, 2], user_id="x", timestamp=25, hour=[1, 1, 2, 2, 3])
    assert len(make_slate_requests(store, frame)) == 2
    with pytest.raises(DataError, match=r"slate: every request_id must have one hour, but 1 rows differ.*\(row 4: 2\)"):
        make_slate_requests(store, frame, context=["hour"])


def test_request_ids_group_a_slate_where_it_has_them(store: HistoryStore) -> None:
    frame = slate().assign(request_id=[1, 1, 2, 2, 2], user_id="x", timestamp=[20, 20, 35, 35, 35])
    requests = make_slate_requests(store, frame)
    assert requests.request_ids.tolist() == [1, 2]
    assert visible(store, requests) == ["a", "abcd"]
    assert requests.offsets is not None
    assert requests.offsets.tolist() == [0, 2, 5]


def test_the_slate_given_is_not_changed(store: HistoryStore) -> None:
    frame = slate()
    make_slate_requests(store, frame)
    pd.testing.assert_frame_equal(frame, slate())


def test_take_keeps_all_that_belongs_to_a_request(store: HistoryStore) -> None:
    whole = make_slate_requests(store, slate())
    part = whole.take(np.array([2, 0]))
    expected = make_slate_requests(store, slate().iloc[[4, 0, 2]])
    for name in ("user_ids", "users", "as_of", "starts", "stops", "offsets", "candidates", "labels", "weights"):
        np.testing.assert_array_equal(getattr(part, name), getattr(expected, name), err_msg=name)
    assert part.rows is not None
    assert part.rows.tolist() == [4, 0, 2]
    assert part.context is not None
    assert part.context["hour"].tolist() == [5, 1]
    plain = make_requests(store).take(np.array([1]))
    assert (plain.user_ids.tolist(), plain.offsets) == (["y"], None)


def test_nothing_at_or_after_the_moment_changes_what_a_request_sees(build_log: Callable[..., pd.DataFrame]) -> None:
    log = build_log(seed=3)
    items = Vocabulary("item_id", [f"i{n}" for n in range(14)])
    for moment in log["timestamp"].sort_values().iloc[[0, 7, 20, 33]]:
        later = log["timestamp"] >= moment
        changed = log.assign(item_id=log["item_id"].where(~later, "i13")).sort_values("timestamp", ascending=False)
        for other in (changed.sort_index(), log[~later]):
            views = []
            for frame in (log, other):
                store = HistoryStore.from_frame(frame, items)
                views.append(visible(store, make_requests(store, [f"u{n}" for n in range(6)], as_of=int(moment))))
            assert views[0] == views[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=5), st.data())
def test_search_in_many_slices_finds_what_a_search_in_each_finds(slices: list[list[int]], data: st.DataObject) -> None:
    values = np.array([value for one in slices for value in sorted(one)], dtype=np.int64)
    ends = np.cumsum([len(one) for one in slices])
    starts = ends - [len(one) for one in slices]
    wanted = np.array(data.draw(st.lists(st.integers(-1, 7), min_size=len(slices), max_size=len(slices))))
    expected = [
        start + np.searchsorted(values[start:end], want) for start, end, want in zip(starts, ends, wanted, strict=True)
    ]
    assert search_sorted(values, starts, ends, wanted).tolist() == expected


def test_ranges_are_gathered_one_after_another() -> None:
    rows, offsets = gather_ranges(np.array([5, 2, 7, 0]), np.array([7, 2, 8, 3]))
    assert rows.tolist() == [5, 6, 7, 0, 1, 2]
    assert offsets.tolist() == [0, 2, 2, 3, 6]
    rows, offsets = gather_ranges(np.array([], int), np.array([], int))
    assert (rows.tolist(), offsets.tolist()) == ([], [0])
