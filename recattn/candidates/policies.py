"""Rules that hold for every request: what is seen, what can be had at its moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked, among
from recattn.dataset.tables import ItemTable
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, DataError
from recattn.schema import check_same_kind, read_items, read_times
from recattn.schema.columns import AVAILABLE_FROM, ITEM
from recattn.schema.names import missing_column
from recattn.schema.rows import first_rows, settle

AVAILABLE_TO = "available_to"
_EVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Seen:
    """Takes away what stands anywhere in the visible history of the request."""

    def keep(self, candidates: pd.DataFrame, asked: Asked) -> np.ndarray:
        """True where the item is not in the history."""
        codes = asked.store.item_vocabulary.encode(candidates[ITEM]).astype(np.int64)
        pairs = asked.places(candidates) * (len(asked.store.item_vocabulary) + 1) + codes
        return (codes < 0) | ~among(pairs, asked.seen_pairs())


@dataclass(frozen=True, eq=False)
class Availability:
    """Takes away what cannot be had at the moment of the request: `available_from` <= moment < `available_to`.

    A moment that is missing sets no limit; nor has an item any that is not in the frame.

    Attributes:
        items: A frame or file with `item_id` and one or both of the columns.
    """

    items: pd.DataFrame | str | Path = field(repr=False)

    @classmethod
    def of(cls, table: ItemTable) -> Availability | None:
        """The rule of a model's catalog, or None where it has no such moments."""
        if table.available_from is None:
            return None
        return cls(pd.DataFrame({ITEM: table.vocabulary.ids, AVAILABLE_FROM: table.available_from[1:]}))

    @cached_property
    def _span(self) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
        """Items, and their first and first lost moment by code, int64 [N + 1]; code 0 is always there."""
        frame = read_items(self.items)
        if AVAILABLE_FROM not in frame and AVAILABLE_TO not in frame:
            raise missing_column("items", AVAILABLE_FROM, frame)
        since = frame[AVAILABLE_FROM].to_numpy(np.int64) if AVAILABLE_FROM in frame else np.zeros(len(frame), np.int64)
        until = np.full(len(frame), _EVER)
        if AVAILABLE_TO in frame:
            seconds, faults = read_times(frame[AVAILABLE_TO], what="items", optional=True)
            settle("items", faults, "error", droppable=False)
            until = np.where(frame[AVAILABLE_TO].isna(), _EVER, seconds)
        never = until < since
        if never.any():
            raise DataError(
                f"items has {int(never.sum()):,} rows whose available_to is before their available_from "
                f"({first_rows(never, frame[ITEM])}). Fix or drop them."
            )
        return Vocabulary(ITEM, frame[ITEM]), np.r_[0, since], np.r_[_EVER, until]

    def keep(self, candidates: pd.DataFrame, asked: Asked) -> np.ndarray:
        """True where the item can be had."""
        if asked.requests.as_of is None:
            raise ConfigError("Availability needs times, but the history has none (time='order'). Leave it out.")
        ids, since, until = self._span
        check_same_kind(pd.Series(ids.ids[:1]), "items", candidates[ITEM].head(1), "candidates", ITEM)
        codes = np.maximum(ids.encode(candidates[ITEM]), 0)
        moments = np.asarray(asked.requests.as_of)[asked.places(candidates)]
        return (since[codes] <= moments) & (moments < until[codes])
