"""Tests of the interaction log at the door."""

from __future__ import annotations

import datetime
import uuid

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.schema import DataWarning, read_interactions

DAY = 1_714_521_600  # 2024-05-01


def log(**columns: object) -> pd.DataFrame:
    values: dict[str, object] = {
        "user_id": ["a", "a", "b"],
        "item_id": [1, 2, 1],
        "timestamp": [DAY, DAY + 1, DAY + 2],
    }
    return pd.DataFrame({**values, **columns})


def test_canonical_frame_has_known_columns_first_then_the_rest_as_given() -> None:
    frame = log(device=["x", "y", "z"], weight=[1, 2, 3], event_type=["view", "like", "view"])
    frame = frame[["device", "weight", "timestamp", "event_type", "item_id", "user_id"]]
    out = read_interactions(frame)
    assert list(out.columns) == ["user_id", "item_id", "timestamp", "event_type", "weight", "device"]
    assert out["timestamp"].dtype == np.int64
    assert out["weight"].dtype == np.float32
    assert out["device"].tolist() == ["x", "y", "z"]


def test_rows_keep_their_order_under_a_new_index() -> None:
    frame = log(timestamp=[30, 10, 20]).set_index(pd.Index([7, 7, 9]))
    out = read_interactions(frame)
    assert out["timestamp"].tolist() == [30, 10, 20]
    assert out.index.equals(pd.RangeIndex(3))


def test_a_canonical_frame_passes_unchanged() -> None:
    once = read_interactions(log(rating=[1, 2, 3], event_type=pd.Categorical(["v", None, "l"])))
    pd.testing.assert_frame_equal(read_interactions(once), once)
    order = read_interactions(log(timestamp=[3, 2, 1]), time="order")
    pd.testing.assert_frame_equal(read_interactions(order, time="order"), order)


def test_the_callers_frame_is_never_changed() -> None:
    frame = log(rating=[1, 2, 3], item_id=pd.Series([1, 2, 1], dtype="category"))
    before = frame.copy(deep=True)
    out = read_interactions(frame, columns={"user_id": "user_id"})
    out["timestamp"] = 0
    out.loc[0, "weight"] = 9
    pd.testing.assert_frame_equal(frame, before)


def test_a_weight_may_be_missing_but_not_be_text() -> None:
    found = read_interactions(log(weight=[1.5, None, np.nan]))["weight"]
    assert found.isna().tolist() == [False, True, True]
    with pytest.raises(DataError, match=r"1 of 3 rows .* 1 with a weight that is no number \(row 1: 'much'\)"):
        read_interactions(log(weight=[1.5, "much", None]))
    with pytest.raises(DataError, match=r"1 with a weight that is no number \(row 2: inf\)"):
        read_interactions(log(weight=[1.5, None, np.inf]))


def test_rating_is_the_weight_unless_there_is_one() -> None:
    assert read_interactions(log(rating=[1, 2, 3]))["weight"].tolist() == [1, 2, 3]
    both = read_interactions(log(rating=[1, 2, 3], weight=[4, 5, 6]))
    assert both["weight"].tolist() == [4, 5, 6]
    assert both["rating"].tolist() == [1, 2, 3]


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(DataError, match="interactions is empty"):
        read_interactions(log().iloc[:0])


def test_one_row_is_enough() -> None:
    assert len(read_interactions(log().iloc[:1])) == 1


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(DataError, match="interactions must be a pandas DataFrame or a path, got list"):
        read_interactions([("a", 1, 2)])  # type: ignore[arg-type]


def test_mixed_id_types_are_counted_and_shown() -> None:
    mixture = r"column 'item_id' mixes int \(2 rows\) and str \(1 rows\); str first at row 1: 'x'\. .*astype\(str\)"
    with pytest.raises(DataError, match=mixture):
        read_interactions(log(item_id=[1, "x", 2]))


def test_unhashable_ids_are_refused() -> None:
    with pytest.raises(DataError, match="holds list values, which cannot be ids"):
        read_interactions(log(item_id=[[1], [2], [3]]))


def test_ids_that_lost_digits_as_floats_are_refused() -> None:
    with pytest.raises(DataError, match="float ids that have lost digits"):
        read_interactions(log(item_id=[1.0, 2.0, 9e18]))


@pytest.mark.parametrize(
    "ids",
    [
        [1, 2, 3],
        ["a", "b", "c"],
        [uuid.UUID(int=i) for i in range(3)],
        [(1, "a"), (2, "b"), (3, "c")],
        [datetime.date(2024, 1, day) for day in (1, 2, 3)],
        [b"a", b"b", b"c"],
    ],
    ids=["int", "str", "uuid", "tuple", "date", "bytes"],
)
def test_ids_of_any_hashable_kind_pass(ids: list[object]) -> None:
    assert read_interactions(log(item_id=pd.Series(ids)))["item_id"].tolist() == ids


@pytest.mark.parametrize("dtype", ["Int64", "category", "int64[pyarrow]", "object", "uint8"])
def test_wrapped_integer_ids_come_out_as_plain_integers(dtype: str) -> None:
    out = read_interactions(log(item_id=pd.Series([1, 2, 1]).astype(dtype)))["item_id"]
    assert isinstance(out.dtype, np.dtype)
    assert out.dtype.kind in "iu"
    assert out.tolist() == [1, 2, 1]


@pytest.mark.parametrize("dtype", ["string", "category", "string[pyarrow]", "object"])
def test_wrapped_text_ids_come_out_in_one_dtype(dtype: str) -> None:
    out = read_interactions(log(user_id=pd.Series(["a", "a", "b"]).astype(dtype)))["user_id"]
    assert out.dtype == pd.Series(["a"]).dtype


def test_event_types_become_text_with_nulls_kept() -> None:
    events = read_interactions(log(event_type=pd.Series([1, None, 3], dtype="Int64")))["event_type"]
    assert events.dropna().tolist() == ["1", "3"]
    assert events.isna().tolist() == [False, True, False]


def test_order_without_timestamps_counts_rows_within_a_user() -> None:
    frame = pd.DataFrame({"user_id": ["b", "a", "b", "a"], "item_id": [1, 2, 3, 4]})
    assert read_interactions(frame, time="order")["timestamp"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "key",
    [
        [5, 9, 5, 1],
        [0.5, 0.9, 0.5, 0.1],
        ["2024-01-05", "2024-01-09", "2024-01-05", "2024-01-01"],
        pd.to_datetime(["2024-01-05", "2024-01-09", "2024-01-05", "2024-01-01"]),
    ],
    ids=["int", "float", "text", "datetime"],
)
def test_order_sorts_within_a_user_by_the_timestamp_then_by_row(key: object) -> None:
    frame = pd.DataFrame({"user_id": ["a"] * 4, "item_id": [1, 2, 3, 4], "timestamp": key})
    out = read_interactions(frame, time="order")
    assert out["item_id"].tolist() == [1, 2, 3, 4]
    assert out["timestamp"].tolist() == [1, 3, 2, 0]


def test_order_places_count_after_bad_rows_are_left_out() -> None:
    frame = log(user_id=["a", "a", "a"], timestamp=[1, None, 3])
    with pytest.warns(DataWarning, match="a null timestamp"):
        out = read_interactions(frame, time="order", bad_rows="drop")
    assert out["timestamp"].tolist() == [0, 1]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="time must be 'timestamp' or 'order', got 'orders'"):
        read_interactions(log(), time="orders")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bad_rows must be 'error' or 'drop', got 'skip'"):
        read_interactions(log(), bad_rows="skip")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unit must be one of s, ms, us, ns, got 'sec'"):
        read_interactions(log(), unit="sec")  # type: ignore[arg-type]
