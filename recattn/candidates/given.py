"""Candidates somebody else found: another library, a team's rules, yesterday's job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked
from recattn.candidates.frames import SOURCE, SOURCE_RANK, candidates_frame, positions
from recattn.dataset.doors import History
from recattn.dataset.requests import gather_ranges
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError
from recattn.schema import check_ids, check_k, check_same_kind, read_frame, require
from recattn.schema.columns import ITEM, RANK, REQUEST, SCORE, USER
from recattn.schema.names import rename

_WHAT = "the frame of candidates"


@dataclass(frozen=True, eq=False)
class FromFrame:
    """The candidates of a frame: `item_id` with `request_id` or `user_id`, or the same items for everybody.

    Within a request they are ordered by `source_rank`, else `rank`, else `score` (highest first), else as they stand.

    Attributes:
        frame: A frame, or a file of one.
        source: The name they carry where the frame has no column `source`.
        columns: Our names to the frame's: `{"item_id": "sku"}`.
    """

    frame: pd.DataFrame | str | Path = field(repr=False)
    source: str = "frame"
    columns: Mapping[str, str] | None = field(default=None, repr=False)

    @cached_property
    def _sorted(self) -> pd.DataFrame:
        frame = rename(read_frame(self.frame, _WHAT), self.columns, _WHAT).reset_index(drop=True)
        require(frame, [ITEM], _WHAT)
        if frame.empty:
            raise DataError(f"{_WHAT} is empty: it has no row.")
        for name in (ITEM, REQUEST, USER):
            if name in frame:
                frame = frame.assign(**{name: check_ids(frame[name], name, _WHAT)})
        for name, sign in ((SOURCE_RANK, 1), (RANK, 1), (SCORE, -1)):
            if name in frame:
                values = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
                return frame.iloc[np.argsort(sign * values, kind="stable")].reset_index(drop=True)
        return frame

    @cached_property
    def _item_codes(self) -> np.ndarray:
        return pd.factorize(self._sorted[ITEM])[0]

    @cached_property
    def _groups(self) -> dict[str, tuple[Vocabulary, np.ndarray, np.ndarray]]:
        """By column: its distinct ids, rows in their order, and offsets of each id's rows."""
        groups = {}
        for name in (REQUEST, USER):
            if name in self._sorted:
                ids = Vocabulary.from_values(name, self._sorted[name])
                codes = ids.encode(self._sorted[name]).astype(np.int64) - 1
                offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
                groups[name] = ids, np.argsort(codes, kind="stable"), offsets
        return groups

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request; of repeated ones the first."""
        check_k(k)
        asked = Asked.of(requests, history=history, as_of=as_of)
        name = next((name for name in asked.names if name in self._groups), None)
        if name is None and self._groups:
            raise DataError(
                f"{_WHAT} names requests by {REQUEST}, but the requests have none. Add it to them, or user_id here."
            )
        rows, places = self._rows(asked, name)
        frame = self._sorted
        items = self._item_codes[rows]
        once = ~pd.DataFrame({"place": places, "item": items}).duplicated().to_numpy()
        rows, places = rows[once], places[once]
        first = positions(places)
        rows, places, ranks = rows[first < k], places[first < k], first[first < k] + 1
        source = frame[SOURCE].to_numpy(dtype=object)[rows] if SOURCE in frame else self.source
        return candidates_frame(asked, places, frame[ITEM].take(rows).array, source, ranks)

    def _rows(self, asked: Asked, name: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the sorted frame and the request of each, by request."""
        if name is None:
            n = len(self._sorted)
            return np.tile(np.arange(n), len(asked)), np.repeat(np.arange(len(asked)), n)
        ids, by_id, offsets = self._groups[name]
        check_same_kind(self._sorted[name].head(1), _WHAT, asked.frame[name].head(1), "requests", name)
        codes = ids.encode(asked.frame[name]).astype(np.int64) - 1
        starts, stops = np.where(codes >= 0, offsets[codes], 0), np.where(codes >= 0, offsets[codes + 1], 0)
        cells, bounds = gather_ranges(starts, stops)
        return by_id[cells], np.repeat(np.arange(len(asked)), np.diff(bounds))
