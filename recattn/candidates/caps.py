"""At most so many of a kind in one list."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recattn.candidates.categories import Categories
from recattn.candidates.frames import positions
from recattn.candidates.lanes import Lanes
from recattn.dataset.feature_arrays import take_ragged
from recattn.dataset.requests import gather_ranges
from recattn.schema import check_k
from recattn.schema.columns import ITEM, RANK


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
        values, offsets = take_ragged(kinds.values, kinds.offsets, codes)
        pairs = lanes.owners.repeat(np.diff(offsets)) * max(1, len(kinds.names)) + values
        if (np.diff(offsets) <= 1).all():
            kept = np.ones(len(codes), dtype=bool)
            kept[np.diff(offsets) > 0] = _place_among_equals(pairs) < self.most
        else:
            kept = self._kept(lanes, pairs, offsets, k)
        keys = np.where(kept, np.arange(len(codes)), -1)
        result = lanes.reordered(keys)
        return result if k is None else result[result[RANK] <= k].reset_index(drop=True)

    def _kept(self, lanes: Lanes, pairs: np.ndarray, offsets: np.ndarray, k: int | None) -> np.ndarray:
        """bool [n]: which rows stay where items have several categories; all requests go down their lists together.

        `pairs` int64 [M] are the categories of all rows, each a number of its own in each request; row r has those at
        `offsets[r]:offsets[r + 1]`.
        """
        distinct, cells = np.unique(pairs, return_inverse=True)
        counts, taken = np.zeros(len(distinct), dtype=np.int64), np.zeros(len(lanes), dtype=np.int64)
        kept = np.zeros(len(offsets) - 1, dtype=bool)
        open_ = np.arange(len(lanes))
        for column in range(int(lanes.lengths.max(initial=0))):
            open_ = open_[(lanes.lengths[open_] > column) & (taken[open_] < (k or len(kept)))]
            rows = lanes.offsets[open_] + column
            found, bounds = gather_ranges(offsets[rows], offsets[rows + 1])
            owners = np.repeat(np.arange(len(rows)), np.diff(bounds))
            full = np.bincount(owners, counts[cells[found]] >= self.most, len(rows)) > 0
            counts[cells[found[~full[owners]]]] += 1  # an item has a category once: no cell stands here twice
            kept[rows[~full]] = True
            taken[open_[~full]] += 1
        return kept


def _place_among_equals(values: np.ndarray) -> np.ndarray:
    """How many equal ones come before each of `values` int64 [n]."""
    order = np.argsort(values, kind="stable")
    places = np.empty(len(values), dtype=np.int64)
    places[order] = positions(values[order])
    return places
