"""Stretches of history that train all their prefixes in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recattn.config import Ties
from recattn.dataset.history import HistoryStore


@dataclass(frozen=True, eq=False)
class Windows:
    """W stretches `starts[w]:stops[w]` of single users' histories.

    Rows from `loss_from[w]` on are targets; the rows before a target are its history. The windows of one user
    overlap, and each interaction is a target exactly once.
    """

    users: np.ndarray  # int32 [W] row in the store
    starts: np.ndarray  # int64 [W] absolute rows of the store
    stops: np.ndarray  # int64 [W]
    loss_from: np.ndarray  # int64 [W] absolute rows, starts <= loss_from < stops
    ties: Ties = "exclude"

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> np.ndarray:
        """Interactions a window, targets included, int64 [W]."""
        return self.stops - self.starts


def make_windows(store: HistoryStore, max_history: int, *, overlap: float = 0.5, ties: Ties = "exclude") -> Windows:
    """Windows of at most `max_history + 1` interactions that cover every history of the store.

    The last window of a user ends at the last interaction; earlier ones end `(1 - overlap) * max_history` before
    the next one, so that every target but a user's first ones has at least `overlap * max_history` interactions of
    history, where the user has that many.

    Args:
        store: The histories.
        max_history: Most interactions a target may look at.
        overlap: Share of `max_history` that neighbouring windows have in common, in [0, 1).
        ties: Whether interactions of one moment see each other (`order`) or not (`exclude`).
    """
    step = max(1, round(max_history * (1 - overlap)))
    lengths = store.lengths
    counts = np.where(lengths > 0, 1 + np.ceil(np.maximum(lengths - max_history - 1, 0) / step), 0).astype(np.int64)
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), counts)
    firsts = np.cumsum(counts) - counts
    from_last = np.repeat(counts, counts) - 1 - (np.arange(len(users)) - np.repeat(firsts, counts))
    begins, ends = store.offsets[users], store.offsets[users + 1]
    stops = ends - from_last * step
    starts = np.maximum(stops - max_history - 1, begins)
    is_first = from_last == np.repeat(counts, counts) - 1
    loss_from = np.where(is_first, starts, stops - step)
    return Windows(users=users, starts=starts, stops=stops, loss_from=loss_from, ties=ties)
