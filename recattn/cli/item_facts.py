"""What metrics need to know of items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from recattn.cli.data import read_table
from recattn.cli.settings import Columns
from recattn.errors import DataError, listed, nearest
from recattn.schema import check_ids, require
from recattn.schema.columns import ITEM

INTERACTIONS = "interactions"


def popularity_of(log: pd.DataFrame, catalog: Sequence[Any] = ()) -> pd.Series:
    """int64, by item: its rows in `log`; 0 for items of `catalog` that have none."""
    counts = log[ITEM].value_counts()
    return counts.reindex(counts.index.append(pd.Index(catalog, dtype=counts.index.dtype)).unique(), fill_value=0)


def read_popularity(path: str, columns: Columns) -> pd.Series:
    """By item: the column `interactions` of a file with a row an item, or the rows of each in a log."""
    frame = read_table(path, "popularity", columns)
    require(frame, [ITEM], "popularity")
    frame = frame.assign(**{ITEM: check_ids(frame[ITEM], ITEM, "popularity")})
    if INTERACTIONS in frame:
        return frame.set_index(ITEM)[INTERACTIONS]
    counts = popularity_of(frame)
    if len(counts) and counts.max() == 1:
        raise DataError(
            f"popularity has each item once and no column {INTERACTIONS!r} with its count; it has "
            f"{listed(map(str, frame.columns))}. Name the count so, or give the log that the model learned from."
        )
    return counts


def categories_of(items: pd.DataFrame, column: str) -> pd.Series:
    """A column of items by item, for IntraListDiversity; texts such as `war|drama` become lists."""
    require(items, [ITEM], "items")
    if column not in items:
        raise DataError(
            f"items has no column {column!r} to tell lists apart by; it has {listed(map(str, items.columns))}."
            f"{nearest(column, map(str, items.columns))}"
        )
    values = items.set_index(ITEM)[column]
    return values.str.split("|", regex=False) if pd.api.types.is_string_dtype(values.dtype) else values
