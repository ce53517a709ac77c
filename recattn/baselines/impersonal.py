"""Scores that depend on the item alone."""

from __future__ import annotations

import datetime
from abc import abstractmethod

import numpy as np

from recattn.baselines.base import Baseline
from recattn.baselines.top_k import top_k
from recattn.dataset import HistoryStore, Requests

Span = str | datetime.timedelta | np.timedelta64


class Impersonal(Baseline):
    """A baseline that ranks the catalog the same for everybody."""

    _item_scores: np.ndarray  # float32 [N + 1] by item code

    @abstractmethod
    def _weights(self, store: HistoryStore) -> np.ndarray:
        """What each training interaction counts, float64 [R]."""

    def _learn(self, store: HistoryStore) -> None:
        size = len(store.item_vocabulary) + 1
        scores = np.bincount(store.items, weights=self._weights(store), minlength=size)
        self._item_scores = scores.astype(np.float32)

    def _ranking(self, codes: np.ndarray) -> np.ndarray:
        return codes[top_k(self._item_scores[None, codes], len(codes))[0][0]]

    def _pair_scores(
        self, store: HistoryStore, requests: Requests, owners: np.ndarray, codes: np.ndarray
    ) -> np.ndarray:
        return self._item_scores[codes]

    def _scores(self, store: HistoryStore, requests: Requests, codes: np.ndarray) -> np.ndarray:
        return np.repeat(self._item_scores[None, codes], len(requests), axis=0)
