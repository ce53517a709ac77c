"""Tests of the parts of a log, with their requests and truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.dataset import HistoryStore, Vocabulary, make_requests
from recattn.dataset.protocols import leave_last_out, split_by_time
from recattn.dataset.split import Split
from recattn.errors import ConfigError

# valid from 100, test from 200; rows are given out of time order
LOG = pd.DataFrame(
    [
        ("a", "x", 210, "d0"),
        ("a", "x", 10, "d1"),
        ("b", "y", 20, "d2"),
        ("a", "y", 110, "d3"),
        ("a", "z", 110, "d4"),
        ("b", "x", 120, "d5"),
        ("a", "z", 220, "d6"),
        ("a", "w", 220, "d7"),
        ("c", "y", 205, "d8"),
        ("a", "y", 30, "d9"),
    ],
    columns=["user_id", "item_id", "timestamp", "device"],
).assign(event_type="view", weight=1.0)


def by_time(ties: str = "exclude") -> Split:
    return split_by_time(LOG, valid_from=100, test_from=200, ties=ties)  # type: ignore[arg-type]


def rows(frame: pd.DataFrame, *names: str) -> list[tuple[object, ...]]:
    return list(frame[list(names)].itertuples(index=False, name=None))


def test_parts_keep_the_order_given() -> None:
    split = by_time()
    assert split.train["device"].tolist() == ["d1", "d2", "d9"]
    assert split.valid["device"].tolist() == ["d3", "d4", "d5"]
    assert split.test["device"].tolist() == ["d0", "d6", "d7", "d8"]
    assert split.train.index.equals(pd.RangeIndex(3))


def test_history_holds_the_part_and_all_before_in_the_order_given() -> None:
    split = by_time()
    assert split.history("valid")["device"].tolist() == ["d1", "d2", "d3", "d4", "d5", "d9"]
    assert split.history("test")["device"].tolist() == LOG["device"].tolist()


def test_last_asks_for_the_last_row_of_each_user_at_its_moment() -> None:
    split = by_time()
    requests, truth = split.requests("test", "last"), split.truth("test", "last")
    assert list(requests.columns) == ["request_id", "user_id", "timestamp", "position", "device"]
    assert rows(requests, "request_id", "user_id", "timestamp", "position", "device") == [
        (0, "a", 220, 6, "d7"),
        (1, "c", 205, 0, "d8"),
    ]
    assert list(truth.columns) == ["request_id", "user_id", "item_id", "seen", "timestamp"]
    assert rows(truth, "request_id", "item_id", "seen", "timestamp") == [(0, "w", False, 220), (1, "y", False, 205)]


def test_successive_shares_a_request_among_rows_of_one_moment() -> None:
    split = by_time()
    requests, truth = split.requests("test", "successive"), split.truth("test", "successive")
    assert rows(requests, "user_id", "timestamp", "position", "device") == [
        ("a", 210, 4, "d0"),
        ("a", 220, 5, "d6"),
        ("c", 205, 0, "d8"),
    ]
    assert rows(truth, "request_id", "item_id", "seen") == [
        (0, "x", True),
        (1, "z", True),
        (1, "w", False),
        (2, "y", False),
    ]


def test_successive_with_ties_in_order_gives_each_row_its_request() -> None:
    split = by_time("order")
    requests = split.requests("valid", "successive")
    assert rows(requests, "user_id", "timestamp", "position", "device") == [
        ("a", 110, 2, "d3"),
        ("a", 110, 3, "d4"),
        ("b", 120, 1, "d5"),
    ]


def test_all_asks_once_a_user_at_the_start_of_the_part() -> None:
    split = by_time()
    assert rows(split.requests("valid", "all"), "user_id", "timestamp", "position") == [("a", 100, 2), ("b", 100, 1)]
    assert rows(split.truth("valid", "all"), "request_id", "user_id", "item_id", "seen") == [
        (0, "a", "y", True),
        (0, "a", "z", False),
        (1, "b", "x", False),
    ]
    assert rows(split.requests("test", "all"), "user_id", "timestamp", "position") == [("a", 200, 4), ("c", 200, 0)]


def test_an_item_is_seen_within_its_own_moment_only_where_ties_go_by_order() -> None:
    log = pd.DataFrame(
        {"user_id": ["a"] * 4, "item_id": ["p", "q", "x", "x"], "timestamp": [1, 5, 9, 9]}  # x twice at one moment
    )
    for ties, seen in (("exclude", [False]), ("order", [True])):
        split = split_by_time(log, valid_from=4, test_from=8, ties=ties)  # type: ignore[arg-type]
        assert split.truth("test", "last")["seen"].tolist() == seen


def test_requests_leave_out_what_tells_of_the_target() -> None:
    for target in ("last", "successive", "all"):
        columns = by_time().requests("test", target).columns  # type: ignore[arg-type]
        assert not {"item_id", "event_type", "weight"} & set(columns)


@pytest.mark.parametrize("target", ["last", "successive", "all"])
@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_requests_agree_with_plain_loops_on_random_logs(target: str, ties: str) -> None:
    rng = np.random.default_rng(7)
    log = pd.DataFrame(
        {"user_id": rng.integers(0, 6, 120), "item_id": rng.integers(0, 8, 120), "timestamp": rng.integers(0, 40, 120)}
    )
    split = split_by_time(log, valid_from=20, test_from=30, ties=ties)  # type: ignore[arg-type]
    requests = split.requests("test", target).set_index("request_id")  # type: ignore[arg-type]
    truth = split.truth("test", target)  # type: ignore[arg-type]
    expected = []
    for user in dict.fromkeys(log["user_id"]):
        own = [(t, i) for u, i, t in log.itertuples(index=False) if u == user]
        own = sorted(own, key=lambda pair: pair[0])
        first = sum(t < 30 for t, _ in own)
        if target == "last":
            asked = [[len(own) - 1]] if first < len(own) else []
        elif target == "all":
            asked = [list(range(first, len(own)))] if first < len(own) else []
        elif ties == "order":
            asked = [[n] for n in range(first, len(own))]
        else:
            moments = dict.fromkeys(t for t, _ in own[first:])
            asked = [[n for n in range(first, len(own)) if own[n][0] == m] for m in moments]
        for places in asked:
            moment = 30 if target == "all" else own[places[0]][0]
            seen_rows = own[: places[0]] if ties == "order" else [pair for pair in own if pair[0] < moment]
            had = {i for _, i in seen_rows}
            expected.append((user, moment, places[0], [(own[n][1], own[n][1] in had) for n in places]))
    got = [
        (
            requests.loc[number, "user_id"],
            requests.loc[number, "timestamp"],
            requests.loc[number, "position"],
            rows(part, "item_id", "seen"),
        )
        for number, part in truth.groupby("request_id")
    ]
    assert got == expected
    assert len(requests) == len(expected)


def test_what_happens_at_or_after_a_request_does_not_change_it() -> None:
    split = by_time()
    changed = LOG.copy()
    changed.loc[changed["timestamp"] == 220, "item_id"] = "q"
    other = split_by_time(changed, valid_from=100, test_from=200)
    pd.testing.assert_frame_equal(split.requests("test"), other.requests("test"))
    before = split.history("test").query("timestamp < 220")
    pd.testing.assert_frame_equal(before, other.history("test").query("timestamp < 220"))


def test_order_only_requests_have_positions_without_moments() -> None:
    log = pd.DataFrame({"user_id": ["a", "b", "a", "a", "a"], "item_id": [1, 2, 3, 1, 4]})
    split = leave_last_out(log, time="order")
    requests = split.requests("test")
    assert list(requests.columns) == ["request_id", "user_id", "position"]
    assert rows(requests, "user_id", "position") == [("a", 3)]
    truth = split.truth("valid", "all")
    assert rows(truth, "user_id", "item_id", "seen") == [("a", 1, True)]
    assert "timestamp" not in truth


def test_leave_out_positions_agree_with_the_history_handed_on() -> None:
    split = leave_last_out(LOG, ties="order")
    for part in ("valid", "test"):
        requests, truth = split.requests(part), split.truth(part)  # type: ignore[arg-type]
        history = split.history(part)  # type: ignore[arg-type]
        for request, answer in zip(requests.itertuples(), truth.itertuples(), strict=True):
            own = history[history["user_id"] == request.user_id].sort_values("timestamp", kind="stable")
            assert own["item_id"].iloc[request.position] == answer.item_id
            assert (answer.item_id in set(own["item_id"].iloc[: request.position])) == answer.seen


def test_summary_counts_rows_users_requests_and_what_is_cold() -> None:
    summary = by_time().summary()
    assert summary.index.tolist() == ["train", "valid", "test"]
    assert summary["rows"].tolist() == [3, 3, 4]
    assert summary["users"].tolist() == [2, 2, 2]
    assert summary["requests"].tolist() == [0, 2, 3]
    assert summary["items"].tolist() == [2, 3, 4]
    assert summary["new_users"].tolist() == [0, 0, 1]
    assert summary["cold_items"].tolist() == [0, 1, 2]
    assert summary["cold_rows"].tolist() == [0, 1, 2]
    assert summary["cold_share"].tolist() == [0, 1 / 3, 0.5]
    assert not summary["leaks"].any()


def test_repr_tells_sizes_and_cuts() -> None:
    assert repr(by_time()) == (
        "Split(train=3, valid=3, test=4 rows, valid_from=1970-01-01 00:01:40, test_from=1970-01-01 00:03:20, "
        "time='timestamp', ties='exclude', leaks=False)"
    )


def test_unknown_parts_and_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"part must be 'valid' or 'test', got 'tst'\. Did you mean 'test'\?"):
        by_time().requests("tst")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="target must be one of last, successive, all, got 'first'"):
        by_time().truth("test", "first")  # type: ignore[arg-type]


def test_a_moment_shared_with_another_user_is_no_shared_moment() -> None:
    log = pd.DataFrame(
        {"user_id": ["a", "a", "a", "b", "b"], "item_id": ["p", "q", "r", "x", "y"], "timestamp": [1, 5, 9, 9, 10]}
    )
    truth = split_by_time(log, valid_from=4, test_from=8).truth("test", "successive")
    assert rows(truth, "item_id", "seen") == [("r", False), ("x", False), ("y", False)]


@pytest.mark.parametrize("target", ["last", "successive", "all"])
@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_seen_tells_what_lies_in_the_history_a_request_gets(target: str, ties: str) -> None:
    rng = np.random.default_rng(11)
    log = pd.DataFrame(
        {"user_id": rng.integers(0, 9, 200), "item_id": rng.integers(0, 30, 200), "timestamp": rng.integers(0, 50, 200)}
    )
    split = split_by_time(log, ties=ties)  # type: ignore[arg-type]
    store = HistoryStore.from_frame(split.history("test"), Vocabulary.from_values("item_id", log["item_id"]))
    requests = make_requests(store, split.requests("test", target), ties=ties)  # type: ignore[arg-type]
    truth = split.truth("test", target)  # type: ignore[arg-type]
    codes = store.item_vocabulary.encode(truth["item_id"])
    histories = [store.items[requests.starts[n] : requests.stops[n]] for n in truth["request_id"]]
    expected = [code in history for code, history in zip(codes, histories, strict=True)]
    assert truth["seen"].tolist() == expected
    assert any(expected)
    assert not all(expected)
