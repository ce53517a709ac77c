"""Tests of encoded features as a table of rows."""

from __future__ import annotations

import numpy as np

from recattn.dataset.feature_arrays import FeatureArrays


def table() -> FeatureArrays:
    """Three rows: one Categorical, two Multi, two Numeric."""
    return FeatureArrays(
        np.array([[2], [0], [1]], np.int32),
        (
            (np.array([2, 3, 4], np.int32), np.array([0, 2, 2, 3])),
            (np.array([5, 6], np.int32), np.array([0, 0, 1, 2])),
        ),
        np.array([[0.5, 0, 0, 1], [7, 0, 8, 0], [0, 1, 9, 0]], np.float32),
    )


def rows_of(arrays: FeatureArrays) -> list[tuple]:
    """Every row as plain values: codes, parts of each Multi, numbers with their flags."""
    multi = [[row.tolist() for row in np.split(values, offsets[1:-1])] for values, offsets in arrays.multi]
    return list(zip(arrays.categorical.tolist(), *multi, arrays.numeric.tolist(), strict=True))


MISSING = ([0], [], [], [0, 1, 0, 1])


def test_take_gathers_rows_in_any_order_with_repeats() -> None:
    rows = rows_of(table())
    assert rows[2] == ([1], [4], [6], [0, 1, 9, 0])
    assert rows_of(table().take([2, 0, 0, 1])) == [rows[2], rows[0], rows[0], rows[1]]


def test_take_gives_a_row_in_which_everything_is_missing_for_minus_1() -> None:
    rows = rows_of(table())
    assert rows_of(table().take(np.array([-1, 1, -1]))) == [MISSING, rows[1], MISSING]
    assert rows_of(table().missing(2)) == [MISSING, MISSING]


def test_take_of_nothing_is_empty_and_take_from_nothing_is_missing() -> None:
    empty = table().take(np.array([], dtype=np.int32))
    assert (len(empty), empty.categorical.shape, empty.numeric.shape) == (0, (0, 1), (0, 4))
    assert rows_of(empty.take([-1])) == [MISSING]


def test_take_keeps_the_types() -> None:
    taken = table().take([1, -1])
    assert (taken.categorical.dtype, taken.numeric.dtype) == (np.int32, np.float32)
    assert {(values.dtype, offsets.dtype) for values, offsets in taken.multi} == {(np.dtype("i4"), np.dtype("i8"))}


def test_taking_twice_is_taking_the_composition() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(-1, 3, 20), rng.integers(0, 20, 30)
    assert rows_of(table().take(first).take(second)) == rows_of(table().take(first[second]))


def test_arrays_round_trip_by_name_exactly() -> None:
    arrays = {**table().to_arrays(), "stranger": np.zeros(1)}
    assert rows_of(FeatureArrays.from_arrays(arrays)) == rows_of(table())
