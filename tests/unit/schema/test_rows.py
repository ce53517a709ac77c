"""Tests of rows that break a rule."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from recattn.errors import DataError
from recattn.schema import DataWarning, read_interactions

DAY = 1_714_521_600  # 2024-05-01


def log(**columns: object) -> pd.DataFrame:
    values: dict[str, object] = {
        "user_id": ["a", "a", "b"],
        "item_id": [1, 2, 1],
        "timestamp": [DAY, DAY + 1, DAY + 2],
    }
    return pd.DataFrame({**values, **columns})


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_null_ids_are_counted_and_shown(column: str) -> None:
    with pytest.raises(DataError, match=rf"2 of 3 rows.*2 with a null {column} \(row 0, row 2\).*drop"):
        read_interactions(log(**{column: [None, "x", np.nan]}))


def test_whole_numbers_made_float_by_a_null_are_a_null_id() -> None:
    with pytest.raises(DataError, match=r"1 with a null item_id \(row 1\)"):
        read_interactions(log(item_id=[1, None, 2]))


@pytest.mark.parametrize("dtype", ["Int64", "category", "int64[pyarrow]", "float64"])
def test_dropping_null_ids_leaves_plain_ids(dtype: str) -> None:
    frame = log(item_id=pd.Series([1, None, 2]).astype(dtype))
    with pytest.warns(DataWarning, match=r"1 of 3 rows left out: 1 with a null item_id \(row 1\)"):
        out = read_interactions(frame, bad_rows="drop")
    assert out["item_id"].tolist() == [1, 2]
    assert out.index.equals(pd.RangeIndex(2))


def test_every_kind_of_bad_row_is_in_one_message() -> None:
    frame = pd.DataFrame(
        {
            "user_id": ["a", None, "b", "c", "d", "e"],
            "item_id": [1, 2, 3, 4, 5, 6],
            "timestamp": ["2024-05-01", "2024-05-01", "soon", None, "1960-01-01", "2030-01-01"],
        }
    )
    with pytest.raises(DataError) as caught:
        read_interactions(frame, now="2024-06-01")
    message = str(caught.value)
    assert "5 of 6 rows" in message
    assert "1 with a null user_id (row 1)" in message
    assert "1 with a null timestamp (row 3)" in message
    assert "1 with an unparsable timestamp (row 2: 'soon')" in message
    assert "1 with a negative timestamp (before 1970) (row 4: '1960-01-01')" in message
    assert "1 with a timestamp in the future of now=2024-06-01 00:00:00 (row 5: '2030-01-01')" in message
    with pytest.warns(DataWarning, match="5 of 6 rows left out"):
        out = read_interactions(frame, now="2024-06-01", bad_rows="drop")
    assert out["user_id"].tolist() == ["a"]


def test_only_the_first_bad_rows_are_shown() -> None:
    frame = pd.DataFrame({"user_id": [None] * 9 + ["a"], "item_id": range(10), "timestamp": range(10)})
    with pytest.raises(DataError, match=r"9 with a null user_id \(row 0, row 1, row 2, row 3, row 4 and 4 more\)"):
        read_interactions(frame)


def test_no_usable_row_is_an_error_even_when_dropping() -> None:
    with pytest.raises(DataError, match="no usable row"):
        read_interactions(log(timestamp=[-1, -2, -3]), bad_rows="drop")


def test_a_weight_that_is_no_number_is_a_bad_row() -> None:
    with pytest.raises(DataError, match=r"1 with a weight that is no number \(row 1: 'five'\)"):
        read_interactions(log(weight=["4", "five", "3"]))


def test_good_rows_raise_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_interactions(log(timestamp=["01/05/2024", "02/05/2024", "03/05/2024"]), bad_rows="drop")
