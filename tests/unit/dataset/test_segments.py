"""Tests of what kind of request each is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.dataset import Split, leave_last_out, split_by_time
from recattn.dataset.segments import popularity_bounds

# train until 100: p 4 times, q twice, r and s once
LOG = pd.DataFrame(
    [
        *[("a", "p", 1), ("a", "q", 2), ("b", "p", 3), ("c", "p", 4), ("d", "p", 5), ("d", "q", 6), ("d", "r", 7)],
        *[("e", "s", 8), ("f", "q", 110), ("a", "p", 205), ("a", "z", 205), ("b", "q", 206), ("g", "s", 207)],
        *[("d", "z", 208), ("d", "p", 209)],
    ],
    columns=["user_id", "item_id", "timestamp"],
)


@pytest.fixture
def split() -> Split:
    return split_by_time(LOG, valid_from=100, test_from=200)


def test_segments_tell_history_length_and_popularity_of_the_target(split: Split) -> None:
    found = split.segments("test").set_index("user_id")
    assert found["request_id"].tolist() == split.requests("test")["request_id"].tolist()
    assert found["history_length"].to_dict() == {"a": 2, "b": 1, "d": 4, "g": 0}
    assert found["target_popularity"].to_dict() == {"a": 0.0, "b": 2.0, "d": 4.0, "g": 1.0}
    assert found["cold"].to_dict() == {"a": True, "b": False, "d": False, "g": False}
    assert found["popularity"].to_dict() == {"a": "cold", "b": "mid", "d": "head", "g": "tail"}


def test_several_targets_have_their_mean_popularity_and_are_cold_where_one_is(split: Split) -> None:
    found = split.segments("test", "successive").set_index("request_id")
    requests = split.requests("test", "successive")
    both = found.loc[requests.query("user_id == 'a'")["request_id"].item()]
    assert (both["target_popularity"], both["cold"], both["popularity"]) == ((4 + 0) / 2, True, "cold")


def test_segments_count_in_what_was_fitted(split: Split) -> None:
    refitted = split.segments("test", fitted=pd.concat([split.train, split.valid]))
    assert refitted.set_index("user_id").loc["b", "target_popularity"] == 3.0
    cleaned = split.segments("test", fitted=split.train.query("item_id != 'q'"))
    assert cleaned.set_index("user_id").loc["b", "cold"]


@pytest.mark.parametrize("target", ["last", "successive", "all"])
def test_segments_agree_with_plain_loops(target: str) -> None:
    rng = np.random.default_rng(5)
    log = pd.DataFrame(
        {"user_id": rng.integers(0, 9, 300), "item_id": rng.geometric(0.1, 300), "timestamp": rng.integers(0, 60, 300)}
    )
    split = split_by_time(log, valid_from=30, test_from=45)
    found = split.segments("test", target)  # type: ignore[arg-type]
    requests = split.requests("test", target).set_index("request_id")  # type: ignore[arg-type]
    truth = split.truth("test", target)  # type: ignore[arg-type]
    assert len(found) == len(requests)
    for row in found.itertuples():
        request = requests.loc[row.request_id]
        before = (log["user_id"] == request["user_id"]) & (log["timestamp"] < request["timestamp"])
        counts = [
            (split.train["item_id"] == i).sum()
            for i in truth.query(f"request_id == {row.request_id}")["item_id"].unique()
        ]
        assert row.history_length == before.sum()
        assert row.target_popularity == pytest.approx(np.mean(counts))
        assert row.cold == (min(counts) == 0)


def test_segments_of_leave_one_out_files_without_times() -> None:
    split = leave_last_out(LOG[["user_id", "item_id"]], time="order")
    found = split.segments("test")
    assert found["history_length"].tolist() == split.requests("test")["position"].tolist()


def test_head_middle_and_tail_hold_a_third_of_the_interactions_each() -> None:
    counts = pd.Series([1] * 30 + [5] * 6 + [30])
    assert popularity_bounds(counts) == (30.0, 5.0)
    assert popularity_bounds(pd.Series([2, 2, 2])) == (2.0, 2.0)
    assert popularity_bounds(pd.Series([], dtype="int64")) == (1.0, 1.0)
