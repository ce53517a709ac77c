"""Recommendations as rows of one width: a request each, its list from left to right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recattn.candidates.frames import positions
from recattn.schema import check_recommendations
from recattn.schema.columns import RANK, REQUEST, USER


@dataclass(frozen=True, eq=False)
class Lanes:
    """X requests of a checked frame with their rows in the order of ranks."""

    frame: pd.DataFrame
    rows: np.ndarray  # int64 [n] rows of the frame, by request (first appearance), then rank
    offsets: np.ndarray  # int64 [X + 1]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Lanes:
        """The lanes of a frame of recommendations (`[request_id,] user_id, item_id, score or rank`)."""
        frame = check_recommendations(frame)
        requests = pd.factorize(frame[REQUEST if REQUEST in frame else USER])[0]
        rows = np.lexsort((frame[RANK].to_numpy(), requests))
        return cls(frame, rows, np.concatenate([[0], np.cumsum(np.bincount(requests))]).astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Rows a request, int64 [X]."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> np.ndarray:
        """The request of each place in `rows`, int64 [n]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def chunks(self, cells_of: int, most: int) -> Iterator[np.ndarray]:
        """Places in `rows` int64 [Y, C] of requests of similar length, -1 where one is shorter.

        Y * C * `cells_of` is at most `most`, or Y is 1.
        """
        lengths = self.lengths
        order = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(order):
            stop = start + 1
            room = most // max(1, cells_of)
            widths = lengths[order[start:]] * np.arange(1, len(order) - start + 1)
            stop = start + max(1, int(np.searchsorted(widths, room, side="right")))
            chosen = order[start:stop]
            columns = np.arange(lengths[chosen[-1]])
            places = self.offsets[chosen][:, None] + columns
            yield np.where(columns < lengths[chosen][:, None], places, -1)
            start = stop

    def reordered(self, keys: np.ndarray) -> pd.DataFrame:
        """The frame by request, within it by `keys` int64 [n] (a value a place in `rows`; negative: left out), with
        `rank` anew.
        """
        owners = self.owners
        order = np.lexsort((keys, owners))
        order = order[keys[order] >= 0]
        frame = self.frame.iloc[self.rows[order]].reset_index(drop=True)
        return frame.assign(**{RANK: positions(owners[order]) + 1})
