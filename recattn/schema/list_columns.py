"""Histories with one row a user and their interactions in lists: the same rows, one an interaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recattn.errors import DataError


def is_list(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are lists."""
    return any(
        test(kind)
        for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view)
    )


def explode_table(table: pa.Table, telling: Sequence[str], what: str, first_row: int = 0) -> pa.Table:
    """One row an interaction, where the columns `telling` (items, moments) hold lists; else the table as it is.

    All list columns are taken apart side by side; other columns are repeated. A null list is an empty one.

    Raises:
        DataError: The lists of a row differ in length; the row is named, counted from `first_row`.
    """
    if not all(_is_list_column(table, name) for name in telling):
        return table
    lists = {name: table.column(name).combine_chunks() for name in table.column_names if _is_list_column(table, name)}
    rows, flat = _flat(lists, telling[0], what, first_row)
    return pa.table(
        {name: flat[name] if name in flat else table.column(name).take(pa.array(rows)) for name in table.column_names}
    )


def explode_frame(frame: pd.DataFrame, telling: Sequence[str], what: str) -> pd.DataFrame:
    """`explode_table` for a frame, whose cells are lists or arrays."""
    if not all(_holds_lists(frame[name]) for name in telling):
        return frame
    lists = {}
    for name in frame.columns:
        if _holds_lists(frame[name]):
            try:
                lists[name] = pa.array(frame[name], from_pandas=True)
            except (pa.ArrowException, TypeError) as error:
                raise DataError(f"{what}: the lists in column {name!r} cannot be read: {error}.") from error
            if not is_list(lists[name].type):
                raise DataError(f"{what}: column {name!r} mixes lists and {lists[name].type} values.")
    rows, flat = _flat(lists, telling[0], what, 0)
    repeated = frame.iloc[rows].reset_index(drop=True)
    return repeated.assign(**{str(name): to_series(values) for name, values in flat.items()})


def to_series(column: pa.Array | pa.ChunkedArray) -> pd.Series:
    """A column for pandas, in which whole numbers stay whole beside nulls."""
    if pa.types.is_integer(column.type) and column.null_count:
        return column.to_pandas(types_mapper={kind: dtype() for kind, dtype in _NULLABLE.items()}.get)
    return column.to_pandas()


_NULLABLE = {
    pa.int8(): pd.Int8Dtype,
    pa.int16(): pd.Int16Dtype,
    pa.int32(): pd.Int32Dtype,
    pa.int64(): pd.Int64Dtype,
    pa.uint8(): pd.UInt8Dtype,
    pa.uint16(): pd.UInt16Dtype,
    pa.uint32(): pd.UInt32Dtype,
    pa.uint64(): pd.UInt64Dtype,
}


def _is_list_column(table: pa.Table, name: str) -> bool:
    return is_list(table.schema.field(name).type)


def _holds_lists(series: pd.Series) -> bool:
    if isinstance(series.dtype, pd.ArrowDtype):
        return is_list(series.dtype.pyarrow_dtype)
    if not pd.api.types.is_object_dtype(series.dtype):
        return False
    first = series.first_valid_index()
    return first is not None and isinstance(series[series.notna()].iloc[0], (list, np.ndarray))


def _flat(
    lists: dict[Any, Any], item: Any, what: str, first_row: int
) -> tuple[npt.NDArray[np.int64], dict[Any, pa.Array]]:
    """The row of each value int64 [values], and the values of all lists one after another."""
    lengths = {
        name: np.asarray(pc.fill_null(pc.list_value_length(values), 0), np.int64) for name, values in lists.items()
    }
    wanted = lengths[item]
    for name, found in lengths.items():
        bad = np.flatnonzero(found != wanted)
        if len(bad):
            row = bad[0]
            more = f", as do {len(bad) - 1:,} more rows" if len(bad) > 1 else ""
            raise DataError(
                f"{what}: row {first_row + row} has {wanted[row]:,} values in {item!r} but {found[row]:,} in "
                f"{name!r}{more}. All lists of a row tell of the same interactions: make them equally long, or drop "
                "the column."
            )
    return np.repeat(np.arange(len(wanted)), wanted), {name: pc.list_flatten(values) for name, values in lists.items()}
