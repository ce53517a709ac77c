"""Tests of cutting a log by time or by leaving the last out."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.protocols import leave_last_out, split_by_time
from recattn.errors import ConfigError, DataError

DAY = 86_400
START = 1_704_067_200  # 2024-01-01


def daily(days: int = 100) -> pd.DataFrame:
    """One row a day, by two users in turn."""
    at = START + DAY * np.arange(days)
    return pd.DataFrame({"user_id": np.arange(days) % 2, "item_id": np.arange(days) % 7, "timestamp": at})


def test_dates_cut_the_log_with_the_cut_itself_in_the_later_part() -> None:
    split = split_by_time(daily(), valid_from="2024-02-01", test_from=datetime.date(2024, 3, 1))
    assert split.train["timestamp"].max() == START + 30 * DAY
    assert split.valid["timestamp"].min() == split.valid_from == START + 31 * DAY
    assert split.valid["timestamp"].max() == START + 59 * DAY
    assert split.test["timestamp"].min() == split.test_from == START + 60 * DAY
    assert not split.leaks


def test_quantiles_cut_the_log_where_no_dates_are_given() -> None:
    split = split_by_time(daily(), q=0.9)
    assert [len(split.train), len(split.valid), len(split.test)] == [81, 9, 10]


def test_one_date_leaves_the_other_cut_to_the_quantile() -> None:
    split = split_by_time(daily(), test_from=START + 50 * DAY)
    assert [len(split.train), len(split.valid), len(split.test)] == [45, 5, 50]


def test_no_moment_is_torn_apart_by_a_quantile() -> None:
    log = daily(40)
    log["timestamp"] = START + DAY * (np.arange(40) // 4)
    split = split_by_time(log, q=0.8)
    assert not set(split.valid["timestamp"]) & set(split.test["timestamp"])
    assert not set(split.train["timestamp"]) & set(split.valid["timestamp"])


def test_a_time_split_reads_any_log() -> None:
    log = daily().rename(columns={"timestamp": "ts"}).assign(ts=lambda frame: pd.to_datetime(frame["ts"], unit="s"))
    split = split_by_time(log, columns={"timestamp": "ts"})
    pd.testing.assert_frame_equal(split.train, split_by_time(daily()).train)


def test_cuts_out_of_order_are_refused() -> None:
    with pytest.raises(DataError, match=r"valid_from \(2024-03-01 00:00:00\) must lie before test_from \(2024-02-01"):
        split_by_time(daily(), valid_from="2024-03-01", test_from="2024-02-01")


@pytest.mark.parametrize(
    ("cuts", "part"),
    [
        ({"test_from": "2030-01-01"}, "test"),
        ({"test_from": "2020-01-01"}, "train"),
        ({"valid_from": "2020-01-01", "test_from": "2024-02-01"}, "train"),
        ({"valid_from": "2024-02-01 01:00", "test_from": "2024-02-01 02:00"}, "valid"),
    ],
)
def test_a_part_without_rows_is_refused_with_the_range_of_the_data(cuts: dict[str, str], part: str) -> None:
    with pytest.raises(DataError, match=rf"no interaction for {part}: .*2024-01-01 00:00:00 and 2024-04-09 00:00:00"):
        split_by_time(daily(), **cuts)  # type: ignore[arg-type]


def test_one_interaction_cannot_be_split() -> None:
    with pytest.raises(DataError, match="no interaction for train"):
        split_by_time(daily(1))
    with pytest.raises(DataError, match="no user has the 3 interactions"):
        leave_last_out(daily(1))


def test_order_only_data_has_no_time_split() -> None:
    with pytest.raises(DataError, match="order-only data has no time split"):
        split_by_time(daily(), time="order")
    counted = daily().assign(timestamp=np.arange(100) // 2)
    with pytest.raises(DataError, match="timestamps of every user just count 0, 1, 2"):
        split_by_time(counted)


def test_a_date_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match=r"valid_from must be a date, such as '2024-05-01', .*got 'spring'"):
        split_by_time(daily(), valid_from="spring")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"q must lie between 0 and 1, got 90"):
        split_by_time(daily(), q=90)
    with pytest.raises(ConfigError, match="ties must be 'exclude' or 'order', got 'drop'"):
        leave_last_out(daily(), ties="drop")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="min_history must be at least 1, got 0"):
        leave_last_out(daily(), min_history=0)


def test_the_last_row_is_test_and_the_one_before_validation() -> None:
    log = pd.DataFrame(
        {"user_id": ["a", "b", "a", "b", "a", "a"], "item_id": [1, 2, 3, 4, 5, 6], "timestamp": [9, 1, 5, 2, 9, 7]}
    )
    split = leave_last_out(log)
    assert split.test["item_id"].tolist() == [5]  # of the two rows at 9, the one given later
    assert split.valid["item_id"].tolist() == [1]
    assert split.train["item_id"].tolist() == [2, 3, 4, 6]
    assert split.leaks
    assert split.summary()["leaks"].tolist() == [False, True, True]


def test_users_with_short_histories_stay_in_train() -> None:
    log = pd.DataFrame({"user_id": ["a"] * 3 + ["b"] * 4 + ["c"] * 2, "item_id": range(9), "timestamp": range(9)})
    assert set(leave_last_out(log).test["user_id"]) == {"a", "b"}
    split = leave_last_out(log, min_history=2)
    assert set(split.test["user_id"]) == {"b"}
    assert len(split.train) == 7
    with pytest.raises(
        DataError, match=r"no user has the 7 interactions.*min_history=5; the longest of 3 histories has 4"
    ):
        leave_last_out(log, min_history=5)
