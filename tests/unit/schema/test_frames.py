"""Tests of items, users, slates and requests at the door."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.errors import DataError
from recattn.schema import read_items, read_requests, read_slate, read_users

DAY = 1_714_521_600  # 2024-05-01


def slate(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": [1, 2, 1], **columns})


def test_items_keep_their_attributes_behind_the_id() -> None:
    items = pd.DataFrame({"title": ["x", "y"], "item": pd.Categorical([2, 1])}, index=[5, 6])
    out = read_items(items, columns={"item_id": "item"})
    assert list(out.columns) == ["item_id", "title"]
    assert out["item_id"].tolist() == [2, 1]
    assert out.index.equals(pd.RangeIndex(2))


def test_duplicate_items_are_counted_and_shown() -> None:
    items = pd.DataFrame({"item_id": ["x", "y", "x", "x"]})
    with pytest.raises(DataError, match=r"items has 2 rows that repeat the item_id .*\(row 2: 'x', row 3: 'x'\)"):
        read_items(items)


@pytest.mark.parametrize(("read", "column"), [(read_items, "item_id"), (read_users, "user_id")])
def test_null_missing_and_empty_are_refused(read: object, column: str) -> None:
    assert callable(read)
    with pytest.raises(DataError, match=f"1 with a null {column}"):
        read(pd.DataFrame({column: ["x", None]}))
    with pytest.raises(DataError, match=f"has no column '{column}'"):
        read(pd.DataFrame({"zzz": ["x"]}))
    with pytest.raises(DataError, match="is empty"):
        read(pd.DataFrame({column: []}))


def test_duplicate_users_are_refused() -> None:
    with pytest.raises(DataError, match="users has 1 rows that repeat the user_id"):
        read_users(pd.DataFrame({"user_id": [1, 1]}))


def test_available_from_becomes_seconds_with_null_as_always() -> None:
    items = pd.DataFrame({"item_id": [1, 2], "available_from": ["2024-05-01", None]})
    assert read_items(items)["available_from"].tolist() == [DAY, 0]


def test_a_slate_keeps_rows_order_and_other_columns() -> None:
    out = read_slate(
        slate(device=["x", "y", "z"], timestamp=["2024-05-01"] * 3, label=[1, 0, 1]).set_index("device", drop=False)
    )
    assert list(out.columns) == ["user_id", "item_id", "timestamp", "label", "device"]
    assert out["timestamp"].tolist() == [DAY] * 3
    assert out["label"].dtype == np.float32
    assert out["device"].tolist() == ["x", "y", "z"]


def test_a_slate_of_order_only_data_has_no_moments() -> None:
    assert "timestamp" not in read_slate(slate(timestamp=[1, 2, 3]), time="order").columns


def test_an_empty_slate_is_fine() -> None:
    assert len(read_slate(slate().iloc[:0])) == 0


def test_a_request_has_one_user_and_one_moment() -> None:
    with pytest.raises(DataError, match=r"every request_id must have one user_id, but 1 rows differ.*\(row 2: 7\)"):
        read_slate(slate(request_id=[7, 7, 7]))
    with pytest.raises(DataError, match=r"every request_id must have one timestamp, but 1 rows differ"):
        read_slate(slate(request_id=[7, 7, 8], timestamp=[1, 2, 3]))
    assert read_slate(slate(request_id=[7, 7, 8], timestamp=[1, 1, 3]))["request_id"].tolist() == [7, 7, 8]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"request_id": [1, None, 2]}, "1 with a null request_id"),
        ({"user_id": ["a", None, "b"]}, "1 with a null user_id"),
        ({"item_id": [1, "x", 2]}, "mixes int"),
        ({"timestamp": ["2024-05-01", "soon", "2024-05-01"]}, "unparsable timestamp.*'soon'"),
        ({"label": ["yes", 1, 0]}, "1 with a label that is no number"),
    ],
)
def test_bad_slate_rows_are_counted_and_shown(columns: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_slate(slate(**columns))


def test_requests_are_numbered_where_they_have_no_id() -> None:
    out = read_requests(pd.DataFrame({"user_id": ["b", "a"], "hour": [1, 2], "position": [0.0, 3.0]}))
    assert list(out.columns) == ["request_id", "user_id", "position", "hour"]
    assert out["request_id"].tolist() == [0, 1]
    assert out["position"].dtype == np.int64


def test_request_ids_and_positions_are_checked() -> None:
    with pytest.raises(DataError, match="requests has 1 rows that repeat the request_id"):
        read_requests(pd.DataFrame({"request_id": ["r", "r"], "user_id": [1, 2]}))
    with pytest.raises(DataError, match="2 with a position that is no whole number"):
        read_requests(pd.DataFrame({"user_id": [1, 2, 3], "position": [1, -1, 0.5]}))


def test_the_frame_given_is_never_changed() -> None:
    frame = slate(timestamp=["2024-05-01"] * 3)
    before = frame.copy(deep=True)
    out = read_slate(frame)
    out["timestamp"] = 0
    read_requests(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_a_column_that_hides_in_the_index_is_told() -> None:
    frame = pd.DataFrame({"item_id": [1, 2], "attribute_ids": [3, 4]}).set_index("item_id")
    with pytest.raises(DataError, match=r"items has 'item_id' as its index, not as a column\. Call reset_index"):
        read_items(frame)
