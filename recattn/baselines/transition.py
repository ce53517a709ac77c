"""What follows the last items of one's history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recattn.baselines.base import Baseline
from recattn.baselines.neighbors import most_similar
from recattn.config import Time
from recattn.dataset import HistoryStore, Requests
from recattn.dataset.transitions import pair_counts
from recattn.errors import ConfigError


@dataclass(eq=False)
class Transition(Baseline):
    """Items by how often they followed the latest items of the visible history in the histories of train.

    The weight of i -> j is the sum over its occurrences of `gap_decay ** (steps between them - 1)`, divided by the
    interactions of j to the power `popularity_power`. A request adds up the rows of its last `last` items, the one s
    steps back counting `gap_decay ** s`. Items that none of them leads to have scores in [-1, 0), by popularity: all
    that an empty history gets.

    Source: the untrained last-one-or-two-items graph heuristic of arXiv 2605.07125, which is competitive on many
    sequential benchmarks.

    Attributes:
        window: Steps ahead that count as following; 1 takes the next item only.
        gap_decay: What each further step takes from a transition.
        last: Latest items of the history that speak.
        popularity_power: 0 counts transitions as they are; 1 divides by popularity, which favours rare items.
        neighbors: Strongest transitions kept for each item.
    """

    window: int = 2
    gap_decay: float = 0.5
    last: int = 2
    popularity_power: float = 0.25
    neighbors: int = 500

    def _check(self, time: Time) -> None:
        for name in ("window", "last", "neighbors"):
            if not getattr(self, name) >= 1:
                raise ConfigError(f"Transition.{name} must be at least 1, got {getattr(self, name)!r}.")
        for name in ("gap_decay", "popularity_power"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Transition.{name} must lie between 0 and 1, got {getattr(self, name)!r}.")

    def _learn(self, store: HistoryStore) -> None:
        from scipy.sparse import csr_array

        size = len(store.item_vocabulary) + 1
        counts = np.bincount(store.items, minlength=size)
        self._fallback = (counts / (counts.max(initial=0) + 1) - 1).astype(np.float32)  # [N + 1]
        found = pair_counts(store, self.window, self.gap_decay, np.ones(len(store))).tocoo()
        rows, columns = found.coords
        weights = found.data / np.maximum(counts[columns], 1) ** self.popularity_power
        kept = most_similar(rows, columns, weights, self.neighbors)
        kept = kept[weights[kept] > 0]  # gap_decay may be 0
        self._next = csr_array((weights[kept].astype(np.float32), (rows[kept], columns[kept])), shape=(size, size))

    def _scores(self, store: HistoryStore, requests: Requests, codes: np.ndarray) -> np.ndarray:
        from scipy.sparse import csr_array

        size = len(self._fallback)
        asked = csr_array((len(requests), size), dtype=np.float32)
        for back in range(self.last):
            rows = requests.stops - 1 - back
            there = np.flatnonzero(rows >= requests.starts)
            weight = np.full(len(there), self.gap_decay**back, dtype=np.float32)
            asked += csr_array((weight, (there, store.items[rows[there]])), shape=asked.shape)
        found = (asked @ self._next).tocoo()
        owners, items = found.coords
        places = np.full(size, -1)
        places[codes] = np.arange(len(codes))
        columns = places[items]
        spoken = (columns >= 0) & (found.data > 0)
        scores = np.repeat(self._fallback[None, codes], len(requests), axis=0)
        scores[owners[spoken], columns[spoken]] = found.data[spoken]
        return scores
