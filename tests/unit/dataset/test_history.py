"""Tests of the histories of all users as flat arrays."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.history import HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError

ITEMS = Vocabulary("item_id", ["a", "b", "c"])


def log(**columns: Any) -> pd.DataFrame:
    """Users x and y in turn; y comes first; two rows of x share a moment, one item is not in `ITEMS`."""
    return pd.DataFrame(
        {
            "user_id": ["y", "x", "y", "x", "x", "y"],
            "item_id": ["a", "b", "zzz", "c", "a", "b"],
            "timestamp": np.array([50, 20, 30, 10, 20, 60]),
        }
        | columns
    )


def rows(store: HistoryStore) -> dict[str, list[Any]]:
    items = store.item_vocabulary.decode(store.items)
    return {
        user: items[start:stop].tolist()
        for user, start, stop in zip(store.users, store.offsets[:-1], store.offsets[1:], strict=True)
    }


def test_rows_go_by_user_then_time_then_the_order_of_the_frame() -> None:
    store = HistoryStore.from_frame(log(), ITEMS)
    assert store.users.tolist() == ["y", "x"]
    assert rows(store) == {"y": ["a", "b"], "x": ["c", "b", "a"]}
    assert store.times is not None
    assert store.times.tolist() == [50, 60, 10, 20, 20]
    assert store.offsets.tolist() == [0, 2, 5]
    assert (store.items.dtype, store.times.dtype, store.offsets.dtype) == (np.int32, np.int64, np.int64)
    assert store.lengths.tolist() == [2, 3]
    assert store.row_users.tolist() == [0, 0, 1, 1, 1]


def test_simultaneous_rows_keep_their_order_when_the_frame_is_turned_around() -> None:
    store = HistoryStore.from_frame(log().iloc[::-1], ITEMS)
    assert rows(store) == {"y": ["a", "b"], "x": ["c", "a", "b"]}


def test_unknown_items_are_dropped_and_counted_but_keep_their_place_in_the_log() -> None:
    store = HistoryStore.from_frame(log(), ITEMS)
    assert store.dropped == 1
    assert (store.items > 0).all()
    assert store.places.tolist() == [1, 2, 0, 1, 2]
    whole = HistoryStore.from_frame(log(item_id=list("abcabc")), ITEMS)
    assert (whole.dropped, whole.positions) == (0, None)
    assert whole.places.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_user_of_unknown_items_only_has_an_empty_history() -> None:
    store = HistoryStore.from_frame(log(item_id=["zzz", "b", "zzz", "c", "a", "zzz"]), ITEMS)
    assert rows(store) == {"y": [], "x": ["c", "b", "a"]}
    assert store.user_rows(["y", "x"]).tolist() == [0, 1]


def test_an_order_only_log_has_no_times() -> None:
    frame = log(timestamp=[0, 2, 1, 0, 1, 2])
    store = HistoryStore.from_frame(frame, ITEMS, time="order")
    assert (store.time, store.times, store.end) == ("order", None, None)
    assert rows(store) == {"y": ["a", "b"], "x": ["c", "a", "b"]}
    assert store.to_frame()["timestamp"].tolist() == [0, 2, 0, 1, 2]


def test_events_and_weights_and_extras_go_with_their_rows() -> None:
    frame = log(event_type=list("uvwxyz"), weight=np.float32([1, 2, 3, 4, np.nan, 6]), hour=[1, 2, 3, 4, 5, 6])
    store = HistoryStore.from_frame(frame, ITEMS, extras=["hour"])
    assert store.behaviours is not None
    assert store.behaviour_vocabulary is not None
    assert store.weights is not None
    assert store.behaviour_vocabulary.decode(store.behaviours).tolist() == ["u", "z", "x", "v", "y"]
    assert store.behaviours.dtype == np.int8
    np.testing.assert_array_equal(store.weights, np.float32([1, 6, 4, 2, np.nan]))
    assert store.extras["hour"].tolist() == [1, 6, 4, 2, 5]


def test_unknown_and_missing_events_have_the_code_zero() -> None:
    frame = log(event_type=["buy", "buy", "buy", "other", None, "view"])
    store = HistoryStore.from_frame(frame, ITEMS, behaviours=Vocabulary("event_type", ["view", "buy"]))
    assert store.behaviours is not None
    assert store.behaviours.tolist() == [2, 1, 0, 2, 0]
    without = HistoryStore.from_frame(log(), ITEMS, behaviours=Vocabulary("event_type", ["view"]))
    assert without.behaviours is None


def test_more_than_127_kinds_of_event_are_refused() -> None:
    frame = pd.DataFrame({"user_id": 1, "item_id": "a", "timestamp": range(128), "event_type": range(128)})
    with pytest.raises(DataError, match="interactions has 128 kinds of event_type; at most 127 are supported"):
        HistoryStore.from_frame(frame, ITEMS)


def test_an_extra_column_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"interactions has no column 'hour'; it has \['user_id', 'item_id'"):
        HistoryStore.from_frame(log(), ITEMS, extras=["hour"])


def test_users_without_history_have_row_minus_one() -> None:
    found = HistoryStore.from_frame(log(), ITEMS).user_rows(["x", "nobody", "y", None])
    assert found.tolist() == [1, -1, 0, -1]
    assert found.dtype == np.int32


def test_the_end_is_the_first_second_after_everything() -> None:
    assert HistoryStore.from_frame(log(), ITEMS).end == 61


def test_a_store_may_be_empty() -> None:
    for frame in (log().iloc[:0], log(item_id="zzz")):
        store = HistoryStore.from_frame(frame, ITEMS)
        assert len(store) == 0
        assert store.end is None
        assert store.lengths.sum() == 0
        assert len(store.to_frame()) == 0
        assert store.digest
        assert len(HistoryStore.merge([store, store])) == 0


def test_the_frame_comes_back_and_makes_the_same_store(scene: Any) -> None:
    frame = scene.store.to_frame()
    assert list(frame) == ["user_id", "item_id", "timestamp", "event_type", "weight", "device", "hour"]
    again = HistoryStore.from_frame(
        frame, scene.store.item_vocabulary, behaviours=scene.store.behaviour_vocabulary, extras=["device", "hour"]
    )
    assert again.digest == scene.store.digest
    expected = scene.log.sort_values(["user_id", "timestamp"], kind="stable")
    got = frame.sort_values(["user_id", "timestamp"], kind="stable")
    pd.testing.assert_frame_equal(
        got.reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_the_frame_given_is_not_changed(build_log: Callable[..., pd.DataFrame]) -> None:
    frame = build_log()
    HistoryStore.from_frame(frame, ITEMS, extras=["hour"])
    pd.testing.assert_frame_equal(frame, build_log())


def test_select_keeps_every_user_and_all_that_belongs_to_a_row(scene: Any) -> None:
    store = scene.store
    mask = np.arange(len(store)) % 3 != 1
    part = store.select(mask)
    assert part.users.tolist() == store.users.tolist()
    pd.testing.assert_frame_equal(part.to_frame(), store.to_frame()[mask].reset_index(drop=True))
    none = store.select(np.zeros(len(store), bool))
    assert none.lengths.tolist() == [0] * len(store.users)


def test_places_in_the_log_survive_a_selection_of_a_store_that_dropped_rows() -> None:
    store = HistoryStore.from_frame(log(), ITEMS)
    assert store.select(np.array([False, True, True, False, True])).places.tolist() == [2, 0, 2]


def test_recode_speaks_another_vocabulary_and_drops_what_that_does_not_know() -> None:
    store = HistoryStore.from_frame(log(), ITEMS)
    other = store.recode(Vocabulary("item_id", ["c", "new", "b"]))
    assert rows(other) == {"y": ["b"], "x": ["c", "b"]}
    assert other.dropped == 3
    assert other.places.tolist() == [2, 0, 1]
    assert store.recode(Vocabulary("item_id", ["a", "b", "c"])) is store


def test_with_behaviours_speaks_another_vocabulary_and_forgets_what_that_does_not_know() -> None:
    store = HistoryStore.from_frame(log(event_type=list("uvwvyu")), ITEMS)
    other = store.with_behaviours(Vocabulary("event_type", ["v", "new", "u"]))
    assert other.behaviours is not None
    assert other.behaviours.tolist() == [3, 3, 1, 1, 0]
    plain = HistoryStore.from_frame(log(), ITEMS)
    assert plain.with_behaviours(Vocabulary("event_type", ["v"])) is plain


def test_the_digest_is_that_of_the_content() -> None:
    base = log(event_type=list("uvuvuv"), weight=np.float32(1))
    digests = [
        HistoryStore.from_frame(frame, names).digest
        for frame, names in [
            (base, ITEMS),
            (base.assign(timestamp=base["timestamp"] + 1), ITEMS),
            (base.assign(user_id=base["user_id"] + "!"), ITEMS),
            (base.assign(item_id="a"), ITEMS),
            (base.assign(weight=np.float32(2)), ITEMS),
            (base.drop(columns="weight"), ITEMS),
            (base.assign(event_type=list("uvuvuu")), ITEMS),
            (base.assign(event_type=list("wvwvwv")), ITEMS),
            (base, Vocabulary("item_id", ["a", "c", "b"])),
        ]
    ]
    assert len(set(digests)) == len(digests)
    assert HistoryStore.from_frame(base.copy(), ITEMS).digest == digests[0]


def test_an_interaction_takes_at_most_24_bytes_beside_extras(scene: Any) -> None:
    store = scene.store.recode(Vocabulary("item_id", [f"i{n}" for n in range(1, 12)]))
    columns = [store.items, store.times, store.behaviours, store.weights, store.positions]
    assert all(column is not None for column in columns)
    assert sum(column.itemsize for column in columns) <= 24


def test_a_store_in_memory_pickles_whole(scene: Any) -> None:
    again = pickle.loads(pickle.dumps(scene.store))
    assert again.digest == scene.store.digest
    pd.testing.assert_frame_equal(again.to_frame(), scene.store.to_frame())


def test_a_store_says_how_large_it_is(scene: Any) -> None:
    assert repr(scene.store) == "HistoryStore(6 users, 34 interactions, time='timestamp')"
