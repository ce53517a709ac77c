"""Tests of the reading of feature columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.feature_values import numbers_of, several_values, single_values
from recattn.errors import DataError

WHERE = "feature 'x' of items"


def column(values: Any) -> pd.Series:
    return pd.Series(values, name="x")


def test_single_values_are_plain_python_with_the_place_of_each_row() -> None:
    values, places = single_values(column(np.array([3, 5, 3], dtype=np.uint8)), WHERE)
    assert (values, places.tolist()) == ([3, 5], [0, 1, 0])
    assert {type(value) for value in values} == {int}
    values, places = single_values(column(pd.array(["a", None], dtype="string")), WHERE)
    assert (values, places.tolist(), type(values[0])) == (["a"], [0, -1], str)


def test_whole_floats_become_ints_while_others_stay() -> None:
    values, _ = single_values(column([2.0, np.nan, 2.5, -0.0]), WHERE)
    assert [(type(value), value) for value in values] == [(int, 2), (float, 2.5), (int, 0)]


def test_parts_of_a_row_keep_their_order_with_repeats() -> None:
    values, (places, offsets) = several_values(column(["b;a;b", None, "a"]), ";", WHERE)
    assert ([values[place] for place in places], offsets.tolist()) == (["b", "a", "b", "a"], [0, 3, 3, 4])


def test_text_inside_a_list_is_not_cut() -> None:
    values, _ = several_values(column([["a|b", " c "], []]), "|", WHERE)
    assert values == ["a|b", "c"]


def test_empty_columns_have_no_values() -> None:
    nothing = column(np.array([], dtype=object))
    values, places = single_values(nothing, WHERE)
    assert (values, len(places)) == ([], 0)
    values, (places, offsets) = several_values(nothing, "|", WHERE)
    assert (values, len(places), offsets.tolist()) == ([], 0, [0])
    assert numbers_of(nothing, WHERE).shape == (0,)


def test_numbers_are_float64_with_nan_where_missing() -> None:
    for values in (
        [1, None],
        pd.array([1, None], dtype="Int8"),
        pd.array([True, None], dtype="boolean"),
        ["1", None],
    ):
        numbers = numbers_of(column(values), WHERE)
        assert numbers.dtype == np.float64
        np.testing.assert_array_equal(numbers, [1, np.nan])


def test_text_in_a_numeric_feature_is_counted_and_shown() -> None:
    message = r"feature 'x' of items has text where numbers belong: 2 of 4 .*'n/a', 'free'.*Categorical\('x'\)"
    with pytest.raises(DataError, match=message):
        numbers_of(column([1, "n/a", None, "free"]), WHERE)


def test_dates_and_infinities_are_no_numbers() -> None:
    with pytest.raises(DataError, match=r"'x' of items has dates or durations \(datetime64"):
        numbers_of(column(pd.to_datetime(["2024-01-01"])), WHERE)
    with pytest.raises(DataError, match=r"2 of 3 values that are infinite or beyond float32 \(first: inf, 1e\+39"):
        numbers_of(column([np.inf, 1e39, 1.0]), WHERE)


def test_values_that_cannot_be_saved_are_refused() -> None:
    with pytest.raises(DataError, match=r"'x' of items holds Timestamp values .*text, numbers or booleans"):
        single_values(column(pd.to_datetime(["2024-01-01"])), WHERE)
    with pytest.raises(DataError, match=r"holds dict values"):
        several_values(column([{"a": 1}]), "|", WHERE)
    with pytest.raises(DataError, match=r"has lists, and is declared Categorical. Declare it Multi\('x'\)"):
        single_values(column([["a"], ["b"]]), WHERE)
