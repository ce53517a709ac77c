"""Which categories an item belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recattn.dataset.feature_values import several_values
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError, listed, nearest
from recattn.schema import check_same_kind, read_items
from recattn.schema.columns import ITEM


@dataclass(frozen=True, eq=False)
class Categories:
    """Categories of items as ragged rows; item code 0 has none."""

    items: Vocabulary
    names: list[object]  # [V]
    values: np.ndarray  # int64 [M], ascending and distinct within an item
    offsets: np.ndarray  # int64 [N + 2]

    @classmethod
    def of(cls, items: pd.DataFrame | str | Path, by: str, separator: str = "|") -> Categories:
        """Read a column of single values, of lists, or of text cut at `separator`; missing: no category.

        DataError where there is no such column, or it holds something else.
        """
        frame = read_items(items)
        if by not in frame or by == ITEM:
            has = [str(name) for name in frame.columns if name != ITEM]
            raise DataError(f"items has no column {by!r} of categories; it has {listed(has, 12)}.{nearest(by, has)}")
        names, (values, offsets) = several_values(frame[by], separator, f"items: column {by!r}")
        owners = np.repeat(np.arange(len(frame)), np.diff(offsets))
        cells = np.unique(owners * max(len(names), 1) + values)
        counts = np.bincount(cells // max(len(names), 1), minlength=len(frame))
        ends = np.concatenate([[0, 0], np.cumsum(counts)]).astype(np.int64)
        return cls(Vocabulary(ITEM, frame[ITEM]), list(names), cells % max(len(names), 1), ends)

    def codes(self, items: pd.Series) -> np.ndarray:
        """Item codes int64 [n]; 0 for items without a row."""
        check_same_kind(pd.Series(self.items.ids[:1]), "items", items.head(1), "recommendations", ITEM)
        return np.maximum(self.items.encode(items), 0).astype(np.int64)
