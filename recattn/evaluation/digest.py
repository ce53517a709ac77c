"""A fingerprint of ids that does not depend on their order."""

from __future__ import annotations

import hashlib

import pandas as pd

_CELL, _ROW = "\x1f", "\x1e"


def ids_digest(*columns: pd.Series) -> str:
    """sha256 (hex) of the rows these columns form, whatever their order.

    Ids count as text, so int32, int64 and Int64, or `str`, `object` and categorical columns with the same
    values have the same digest; whole floats count as integers.
    """
    rows = [_CELL.join(row) for row in zip(*(_texts(column) for column in columns), strict=True)]
    return hashlib.sha256(_ROW.join(sorted(rows)).encode("utf-8", "surrogatepass")).hexdigest()


def _texts(column: pd.Series) -> list[str]:
    if pd.api.types.is_float_dtype(column.dtype):
        whole = column.dropna() % 1 == 0
        if whole.all() and len(whole) == len(column):
            column = column.astype("int64")
    return [str(value) for value in column.tolist()]
