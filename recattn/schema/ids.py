"""Ids of users, items and requests: any hashable kind, one kind a column."""

from __future__ import annotations

import datetime
import numbers
from collections import deque

import numpy as np
import pandas as pd

from recattn.errors import DataError
from recattn.schema.rows import first_rows, null_fault, settle

_EXACT_FLOAT = 2**53


def unwrap(series: pd.Series) -> pd.Series:
    """The series in a plain dtype: categories, nullable and Arrow dtypes are taken out of their wrapping.

    A column of Python objects of one kind takes the kind's own dtype where it has one. Nulls stay null.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return unwrap(series.astype(object if series.isna().any() else dtype.categories.dtype))
    if isinstance(dtype, pd.StringDtype):
        return series if dtype.na_value is np.nan else series.astype(object).infer_objects()
    if isinstance(dtype, pd.ArrowDtype):
        values = series.array.__arrow_array__().to_pandas()  # type: ignore[attr-defined]
        return unwrap(pd.Series(values.array, index=series.index, name=series.name))
    if pd.api.types.is_extension_array_dtype(dtype) and pd.api.types.is_numeric_dtype(dtype):
        return series if series.isna().any() else series.astype(dtype.numpy_dtype)  # type: ignore[union-attr]
    if pd.api.types.is_object_dtype(dtype) and len(_kinds(series)) == 1:
        return series.infer_objects()
    return series


def _kind(kind: type) -> str:
    if issubclass(kind, (bool, np.bool_)):
        return "bool"
    if issubclass(kind, numbers.Integral):
        return "int"
    if issubclass(kind, numbers.Real):
        return "float"
    if issubclass(kind, str):
        return "str"
    if issubclass(kind, (datetime.datetime, np.datetime64)):
        return "datetime"
    return kind.__name__


def _kinds(series: pd.Series) -> set[str]:
    return {_kind(kind) for kind in set(map(type, series[series.notna()]))}


def id_kind(series: pd.Series) -> str:
    """`int`, `str`, `UUID` ...: what the ids of a checked column are."""
    dtype = series.dtype
    if pd.api.types.is_object_dtype(dtype):
        return next(iter(_kinds(series)), "nothing")
    if isinstance(dtype, pd.StringDtype):
        return "str"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime"
    return _kind(np.dtype(dtype).type) if isinstance(dtype, np.dtype) else str(dtype)


def check_kind(series: pd.Series, column: str, what: str) -> None:
    """DataError unless the values that are not null are hashable and of one kind.

    Floats are refused where they are too large to be told apart (2**53), which is how integer ids look after
    a null came between them.
    """
    if pd.api.types.is_float_dtype(series.dtype):
        lost = np.abs(series.to_numpy(dtype=np.float64, na_value=np.nan)) >= _EXACT_FLOAT
        if lost.any():
            raise DataError(
                f"{what}: column {column!r} has float ids that have lost digits "
                f"({first_rows(lost, series)}). Integers became floats, often because of a null: "
                f"read the column as 'Int64' or as text."
            )
    if pd.api.types.is_unsigned_integer_dtype(series.dtype) and len(series):
        wide = series.to_numpy(dtype=np.uint64, na_value=0) > np.iinfo(np.int64).max
        if wide.any():
            raise DataError(
                f"{what}: column {column!r} has whole numbers from 2**63 on ({first_rows(wide, series)}), "
                f"too large for ids. Turn them into text, for instance with .astype(str)."
            )
    if not pd.api.types.is_object_dtype(series.dtype):
        return
    kinds = _kinds(series)
    if len(kinds) > 1:
        raise _mixed(series, column, what)
    if kinds - {"int", "float", "str"}:
        try:
            deque(map(hash, series[series.notna()]), maxlen=0)
        except TypeError as error:
            raise DataError(
                f"{what}: column {column!r} holds {kinds.pop()} values, which cannot be ids ({error}). "
                f"Turn them into text, numbers or tuples."
            ) from None


def _mixed(series: pd.Series, column: str, what: str) -> DataError:
    kinds = pd.Series([_kind(type(value)) for value in series]).where(series.notna().to_numpy())
    counts = kinds.value_counts()
    mixture = " and ".join(f"{kind} ({count:,} rows)" for kind, count in counts.items())
    return DataError(
        f"{what}: column {column!r} mixes {mixture}; {counts.index[-1]} first at "
        f"{first_rows((kinds == counts.index[-1]).to_numpy(dtype=bool), series)}. "
        f"Give every id one type, for instance with .astype(str)."
    )


def check_ids(series: pd.Series, column: str, what: str) -> pd.Series:
    """The ids in a plain dtype (see `unwrap`), with no null among them and all of one kind.

    Raises:
        DataError: Nulls, mixed kinds or unhashable values; counts and first rows are in the message.
    """
    plain = unwrap(series)
    check_kind(plain, column, what)
    settle(what, [null_fault(plain, column)], "error", droppable=False)
    return plain


def check_same_kind(left: pd.Series, left_what: str, right: pd.Series, right_what: str, column: str) -> None:
    """DataError where ids of two frames can never meet, such as numbers here and text there."""
    kinds = id_kind(left), id_kind(right)
    if not len(left) or not len(right) or kinds[0] == kinds[1] or set(kinds) == {"int", "float"}:
        return
    examples = [series.head(1).tolist()[0] for series in (left, right)]
    raise DataError(
        f"{column} is {kinds[0]} in {left_what} (such as {examples[0]!r}) but {kinds[1]} in {right_what} "
        f"(such as {examples[1]!r}), so no id of one is found in the other. Convert one of them."
    )
