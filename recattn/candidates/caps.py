"""At most so many of a kind in one list."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recattn.candidates.categories import Categories
from recattn.candidates.lanes import Lanes
from recattn.dataset.feature_arrays import take_ragged
from recattn.schema import check_k
from recattn.schema.columns import ITEM

_CELLS = 1 << 23


def cap(
    frame: pd.DataFrame,
    items: pd.DataFrame | str | Path,
    *,
    by: str = "category",
    most: int = 2,
    k: int | None = None,
    separator: str = "|",
) -> pd.DataFrame:
    """The recommendations with at most `most` of a category a request, better ranks first, `rank` anew.

    An item of several categories counts in each, and stays only while none of them is full. Items without a category,
    or without a row in `items`, always stay.

    Args:
        frame: `[request_id,] user_id, item_id, score, rank`.
        items: A frame or file with `item_id` and the column `by`.
        by: A column of single values, of lists, or of text cut at `separator`.
        most: Items of one category a request.
        k: Items a request; None keeps all that may stay.
        separator: What cuts text into categories.
    """
    return Cap(items, by, most, separator).apply(frame, k)


@dataclass(frozen=True, eq=False)
class Cap:
    """`cap` as a part of a job; the arguments are its."""

    items: pd.DataFrame | str | Path = field(repr=False)
    by: str = "category"
    most: int = 2
    separator: str = "|"

    def __post_init__(self) -> None:
        check_k(self.most, name="most")

    @cached_property
    def _categories(self) -> Categories:
        return Categories.of(self.items, self.by, self.separator)

    def apply(self, frame: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
        """As `cap`."""
        if k is not None:
            check_k(k)
        lanes, kinds = Lanes.of(frame), self._categories
        codes = kinds.codes(lanes.frame[ITEM])[lanes.rows]
        keys = np.full(len(codes), -1, dtype=np.int64)
        size = max(1, len(kinds.names))
        for places in lanes.chunks(1, max(1, _CELLS // size)):
            for chosen in np.array_split(places, -(-len(places) * size // _CELLS)):
                counts = np.zeros((len(chosen), size), dtype=np.int32)
                taken = np.zeros(len(chosen), dtype=np.int64)
                for column in range(chosen.shape[1]):
                    rows = np.flatnonzero((chosen[:, column] >= 0) & (taken < (k or len(codes))))
                    place = chosen[rows, column]
                    values, offsets = take_ragged(kinds.values, kinds.offsets, codes[place])
                    owners = np.repeat(np.arange(len(rows)), np.diff(offsets))
                    full = np.bincount(owners, counts[rows[owners], values] >= self.most, len(rows)) > 0
                    open_ = ~full[owners]
                    counts[rows[owners[open_]], values[open_]] += 1  # a category once an item: no cell twice
                    taken[rows[~full]] += 1
                    keys[place[~full]] = column
        return lanes.reordered(keys)
