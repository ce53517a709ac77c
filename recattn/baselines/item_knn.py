"""What goes with the items of one's history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recattn.baselines.base import Baseline
from recattn.baselines.neighbors import item_similarities
from recattn.config import Time
from recattn.dataset import HistoryStore, Requests
from recattn.dataset.requests import gather_ranges
from recattn.errors import ConfigError


@dataclass(eq=False)
class ItemKNN(Baseline):
    """Items by their similarity to the latest items of the visible history, summed over the distinct ones.

    Items that none of them speaks for have scores in [-1, 0), by popularity: all that an empty history gets.

    Source: Deshpande and Karypis (2004), Item-based top-N recommendation algorithms (there with
    `max_history=None`; a handful of latest items does better wherever tastes drift).

    Attributes:
        neighbors: Most similar items kept for each item.
        shrinkage: Added to the denominator of the cosine; takes trust from items few people touched.
        max_history: Latest interactions that speak; None lets all of them.
    """

    neighbors: int = 100
    shrinkage: float = 10.0
    max_history: int | None = 5

    def _check(self, time: Time) -> None:
        for name, low in {"neighbors": 1, "shrinkage": 0, "max_history": 1}.items():
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise ConfigError(f"ItemKNN.{name} must be at least {low}, got {value!r}.")

    def _learn(self, store: HistoryStore) -> None:
        counts = np.bincount(store.items, minlength=len(store.item_vocabulary) + 1)
        self._fallback = (counts / (counts.max(initial=0) + 1) - 1).astype(np.float32)  # [N + 1]
        self._similarities = item_similarities(store, self.neighbors, self.shrinkage)

    def _scores(self, store: HistoryStore, requests: Requests, codes: np.ndarray) -> np.ndarray:
        from scipy.sparse import csr_array

        starts = requests.starts
        if self.max_history is not None:
            starts = np.maximum(starts, requests.stops - self.max_history)
        rows, offsets = gather_ranges(starts, requests.stops)
        shape = (len(requests), len(self._fallback))
        history = csr_array((np.ones(len(rows), np.float32), store.items[rows], offsets), shape=shape)
        history.sum_duplicates()
        history.data[:] = 1
        found = (history @ self._similarities).tocoo()
        owners, items = found.coords
        places = np.full(len(self._fallback), -1)
        places[codes] = np.arange(len(codes))
        columns = places[items]
        scores = np.repeat(self._fallback[None, codes], len(requests), axis=0)
        scores[owners[columns >= 0], columns[columns >= 0]] = found.data[columns >= 0]
        return scores
