"""The reading of feature columns: cells of many kinds become plain values."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from recattn.dataset.feature_arrays import Ragged, take_ragged
from recattn.errors import DataError, listed

Value = str | int | float | bool


def single_values(column: pd.Series, where: str) -> tuple[list[Value], np.ndarray]:
    """The distinct values of a column, with the place of each row's value among them int64 [n] (-1: missing).

    Whole floats become ints: pandas turns ints to floats where a column has gaps.

    Raises:
        DataError: A cell holds something else than text, a number or a boolean.
    """
    try:
        places, distinct = pd.factorize(column.to_numpy(dtype=object))
    except TypeError as error:  # lists cannot be hashed
        raise DataError(
            f"{where} has lists, and is declared Categorical. Declare it Multi({column.name!r})."
        ) from error
    return [_plain(value, where) for value in distinct], places.astype(np.int64)


def several_values(column: pd.Series, separator: str, where: str) -> tuple[list[Value], Ragged]:
    """The distinct parts of a column of lists, or of text cut at `separator`, with their places in each row.

    Empty and missing parts are dropped, white space around text is cut off, repeats within a row are kept.

    Raises:
        DataError: A part is something else than text, a number or a boolean.
    """
    cells = column.to_numpy(dtype=object)
    try:
        rows, cells = pd.factorize(cells)  # equal texts are cut once
    except TypeError:
        rows = np.arange(len(cells))
    cut = [_parts(cell, separator, where) for cell in cells]
    offsets = np.cumsum([0, *map(len, cut)], dtype=np.int64)
    places, distinct = pd.factorize(_objects(chain.from_iterable(cut)))
    return list(distinct), take_ragged(places.astype(np.int64), offsets, rows.astype(np.int64))


def numbers_of(column: pd.Series, where: str) -> np.ndarray:
    """The column as float64 [n], NaN where missing.

    Raises:
        DataError: A cell is no number, or too large for float32.
    """
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        raise DataError(f"{where} has dates or durations ({kind}) where numbers belong. Convert them to numbers first.")
    if not pd.api.types.is_numeric_dtype(kind):
        column = column.astype(object)
    read = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isnan(read) & ~column.isna().to_numpy()
    if wrong.any():
        raise DataError(
            f"{where} has text where numbers belong: {wrong.sum()} of {len(column)} values are not numbers "
            f"(first: {listed(column[wrong].head(3))}). Clean the column, or declare it "
            f"Categorical({column.name!r})."
        )
    wrong = np.abs(read) > np.finfo(np.float32).max
    if wrong.any():
        raise DataError(
            f"{where} has {wrong.sum()} of {len(column)} values that are infinite or beyond float32 "
            f"(first: {listed(read[wrong][:3].tolist())}). Replace them, by a missing value for instance."
        )
    return read


def _parts(cell: Any, separator: str, where: str) -> list[Value]:
    if isinstance(cell, str):
        cell = cell.split(separator)
    elif isinstance(cell, set | frozenset):
        cell = sorted(cell, key=repr)  # the order of a set differs between processes
    elif not isinstance(cell, list | tuple | np.ndarray):
        cell = [cell]
    plain = (_plain(part, where) for part in cell if not _is_missing(part))
    stripped = (part.strip() if isinstance(part, str) else part for part in plain)
    return [part for part in stripped if part != ""]


def _plain(value: Any, where: str) -> Value:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return int(number) if number.is_integer() else number
    raise DataError(
        f"{where} holds {type(value).__name__} values (first: {value!r}); a feature takes text, numbers or "
        "booleans. Convert the column to one of these first."
    )


def _is_missing(part: Any) -> bool:
    return part is None or part is pd.NA or part is pd.NaT or (isinstance(part, float | np.floating) and part != part)


def _objects(values: Iterable[Any]) -> np.ndarray:
    return np.fromiter(values, dtype=object)
