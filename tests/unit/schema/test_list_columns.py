"""Tests of histories with one row a user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recattn.errors import DataError
from recattn.schema import read_interactions
from recattn.schema.list_columns import explode_table, to_series

FLAT = pd.DataFrame(
    {
        "user_id": ["u", "u", "v", "w"],
        "item_id": [3, 1, 3, 2],
        "timestamp": [20, 10, 30, 40],
        "event_type": ["view", "buy", None, "view"],
        "country": ["at", "at", "be", "at"],
    }
)
LISTS = pd.DataFrame(
    {
        "user_id": ["u", "nobody", "v", "w"],
        "item_id": [[3, 1], [], [3], [2]],
        "timestamp": [[20, 10], [], [30], [40]],
        "event_type": [["view", "buy"], [], [None], ["view"]],
        "country": ["at", "fr", "be", "at"],
    }
)


@pytest.mark.parametrize("kind", ["list", "array", "parquet", "large", "arrow", "null"])
def test_lists_are_the_same_log_as_rows(kind: str, tmp_path: Path) -> None:
    data: Any = LISTS
    if kind == "array":
        data = LISTS.assign(**{name: [np.array(cell) for cell in LISTS[name]] for name in ("item_id", "timestamp")})
    if kind == "null":
        data = LISTS.assign(item_id=[[3, 1], None, [3], [2]], timestamp=[[20, 10], None, [30], [40]])
    if kind == "arrow":
        data = pa.table(LISTS).to_pandas(types_mapper=pd.ArrowDtype)
    if kind in ("parquet", "large"):
        data, table = tmp_path / "log.parquet", pa.Table.from_pandas(LISTS)
        if kind == "large":
            table = table.set_column(1, "item_id", table["item_id"].cast(pa.large_list(pa.int64())))
        pq.write_table(table, data)
    pd.testing.assert_frame_equal(read_interactions(data), read_interactions(FLAT), check_dtype=False)


def test_the_frame_given_is_not_changed() -> None:
    before = LISTS.copy(deep=True)
    read_interactions(LISTS)
    pd.testing.assert_frame_equal(LISTS, before)


def test_lists_may_have_other_names_and_no_moments() -> None:
    theirs = LISTS.rename(columns={"item_id": "items"}).drop(columns=["timestamp", "event_type"])
    found = read_interactions(theirs, columns={"item_id": "items"}, time="order")
    assert found[["user_id", "item_id", "timestamp"]].values.tolist() == [
        ["u", 3, 0],
        ["u", 1, 1],
        ["v", 3, 0],
        ["w", 2, 0],
    ]


def test_lists_of_unlike_length_name_the_row() -> None:
    wrong = LISTS.assign(timestamp=[[20, 10], [], [30, 31], [40, 41]])
    with pytest.raises(DataError, match=r"row 2 has 1 values in 'item_id' but 2 in 'timestamp', as do 1 more rows"):
        read_interactions(wrong)
    with pytest.raises(DataError, match="row 102 has 1 values in 'item_id' but 2 in 'timestamp'"):
        explode_table(pa.Table.from_pandas(wrong), ["item_id", "timestamp"], "interactions", 100)


def test_a_null_within_a_list_is_a_bad_row() -> None:
    with pytest.raises(DataError, match=r"1 of 4 rows that cannot be used: 1 with a null item_id \(row 1\)"):
        read_interactions(LISTS.assign(item_id=[[3, None], [], [3], [2]]))


def test_a_column_of_lists_and_other_values_is_told() -> None:
    with pytest.raises(DataError, match="the lists in column 'item_id' cannot be read"):
        read_interactions(LISTS.assign(item_id=[[3, 1], [], 3, [2]]))


def test_whole_numbers_stay_whole_beside_nulls() -> None:
    assert to_series(pa.chunked_array([[2**60 + 1], [None]])).tolist() == [2**60 + 1, pd.NA]
