"""The face all baselines share with the Recommender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from recattn.baselines.allowed import forbid, most_forbidden
from recattn.baselines.top_k import top_k
from recattn.config import Ties, Time
from recattn.dataset import HistoryStore, Requests, make_slate_requests
from recattn.dataset.doors import (
    History,
    candidate_codes,
    catalog_requests,
    check_items,
    check_known,
    check_ties,
    history_store,
    moment_asked,
    tell_empty,
    tell_short,
    training_data,
)
from recattn.dataset.frames import recommendations_frame, scores_frame
from recattn.dataset.tables import ItemTable
from recattn.errors import NotFittedError
from recattn.schema import check_k, check_time, read_slate
from recattn.schema.columns import ITEM

_SCORES_AT_ONCE = 1 << 22


class Baseline(ABC):
    """A recommender without gradients. Fitted, it knows items and what was learned of them, but no users."""

    _items: ItemTable | None = None
    _time: Time = "timestamp"
    _ties: Ties = "exclude"

    @property
    def items(self) -> ItemTable:
        """The catalog: items frame and training items. Raises NotFittedError before `fit`."""
        if self._items is None:
            raise NotFittedError(f"{self!r} is not fitted. Call fit(train) first.")
        return self._items

    def fit(
        self,
        train: History,
        *,
        items: pd.DataFrame | str | Path | None = None,
        time: Time = "timestamp",
        ties: Ties = "exclude",
    ) -> Self:
        """Learn from interactions.

        Args:
            train: A frame or file of interactions, or a HistoryStore.
            items: A frame or file with one row an item: these join the catalog though nobody touched them.
            time: `timestamp`, or `order` where only the order within a user is known.
            ties: `exclude`: requests do not see interactions of their own moment; `order`: a `position` decides.

        Raises:
            DataError: The frames break a rule of their door (`recattn.schema`).
            ConfigError: A setting is impossible, or needs times where `time` is `order`.
        """
        check_time(time)
        check_ties(ties)
        self._check(time)
        store, table = training_data(train, items, time)
        self._learn(store)
        self._items, self._time, self._ties = table, time, ties
        return self

    def score(
        self,
        slate: pd.DataFrame | str | Path,
        *,
        history: History,
        as_of: Any = None,
    ) -> pd.DataFrame:
        """The rows of `slate` (`user_id`, `item_id`, ...), in order, with `score` float32 and `reason`.

        Unknown items have the score NaN with the reason `unknown_item`; users without visible history are
        scored, with the reason `no_history`. Each request sees the interactions of `history` before its
        `timestamp`, or before `as_of` (default: just after the end of `history`).
        """
        store = history_store(history, self.items.vocabulary, self._time)
        rows = read_slate(slate, time=self._time)
        check_items(rows[ITEM], "slate", self.items.vocabulary)
        requests = make_slate_requests(store, rows, as_of=moment_asked(as_of, store, rows), ties=self._ties)
        check_known(requests, store)
        assert requests.offsets is not None
        assert requests.candidates is not None
        scores = np.full(len(requests.candidates), np.nan, dtype=np.float32)
        for chunk in self._chunks(len(requests), len(self.items)):
            part = requests.take(chunk)
            assert part.offsets is not None
            assert part.candidates is not None
            owners = np.repeat(np.arange(len(part)), np.diff(part.offsets))
            known = part.candidates > 0
            values = np.full(len(known), np.nan, dtype=np.float32)
            values[known] = self._pair_scores(store, part, owners[known], part.candidates[known])
            scores[requests.offsets[chunk[0]] : requests.offsets[chunk[-1] + 1]] = values
        return scores_frame(slate if isinstance(slate, pd.DataFrame) else rows, requests, scores)

    def recommend(
        self,
        users: Iterable[Any] | pd.DataFrame | str | Path | None = None,
        *,
        history: History,
        k: int = 10,
        as_of: Any = None,
        exclude_seen: bool = True,
        candidates: Iterable[Any] | None = None,
    ) -> pd.DataFrame:
        """The best `k` items of each request: `[request_id,] user_id, item_id, score, rank`, best first.

        Equal scores are ranked in the order of the catalog. A list is shorter than `k` where fewer items may be
        recommended.

        Args:
            users: Ids, a frame or file of requests, or None for every user of `history`.
            history: Interactions: a frame, a file or a HistoryStore. Each request sees those before its moment.
            k: Longest list.
            as_of: The moment of requests that name none; just after the end of `history` by default.
            exclude_seen: Whether items of the visible history are left out. Items whose `available_from` is after the
                moment always are.
            candidates: Ids of the only items to choose from; None for the catalog.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: No history, nobody in it of those asked about, or no candidate in the catalog.
            ConfigError: `k` below 1, or an `as_of` where there are no times.

        Warns:
            DataWarning: `k` is more than there are items, or requests end up without any.
        """
        k = check_k(k)
        codes = candidate_codes(candidates, self.items)
        store = history_store(history, self.items.vocabulary, self._time)
        moment = moment_asked(as_of, store, users)
        requests, named = catalog_requests(store, users, as_of=moment, ties=self._ties)
        tell_short(k, len(codes))
        best = np.zeros((len(requests), min(k, len(codes))), dtype=np.int64)
        scores = np.full(best.shape, -np.inf, dtype=np.float32)
        ranking = self._ranking(codes)
        reaches = best.shape[1] + most_forbidden(codes, requests, self.items, exclude_seen=exclude_seen)
        width = len(self.items) if ranking is None else min(len(codes), int(reaches.max(initial=0)))
        for chunk in self._chunks(len(requests), width):
            chosen = codes if ranking is None else np.sort(ranking[: reaches[chunk].max()])
            part = requests.take(chunk)
            values = self._scores(store, part, chosen)
            forbid(values, chosen, store, part, self.items, exclude_seen=exclude_seen)
            columns, scores[chunk] = top_k(values, best.shape[1])
            best[chunk] = np.where(columns >= 0, chosen[columns], 0)
        tell_empty(best)
        return recommendations_frame(requests, best, scores, self.items.vocabulary, with_request_id=named)

    @staticmethod
    def _chunks(n: int, width: int) -> list[np.ndarray]:
        step = max(1, _SCORES_AT_ONCE // max(width, 1))
        return [np.arange(start, min(start + step, n)) for start in range(0, n, step)]

    @abstractmethod
    def _check(self, time: Time) -> None:
        """Raises ConfigError for settings that are impossible, or impossible without times."""

    def _ranking(self, codes: np.ndarray) -> np.ndarray | None:
        """`codes` int64 [C], best first, where the order is the same for everybody; else None."""
        return None

    def _pair_scores(
        self, store: HistoryStore, requests: Requests, owners: np.ndarray, codes: np.ndarray
    ) -> np.ndarray:
        """float32 [M] for pairs of a request's place `owners` int [M] and an item `codes` int [M]."""
        columns = np.unique(codes)
        scores = self._scores(store, requests, columns)
        return scores[owners, np.searchsorted(columns, codes)]

    @abstractmethod
    def _learn(self, store: HistoryStore) -> None:
        """Keep what scoring needs of the training interactions."""

    @abstractmethod
    def _scores(self, store: HistoryStore, requests: Requests, codes: np.ndarray) -> np.ndarray:
        """A new array float32 [X, C]: finite scores of the items `codes` int [C], ascending, for each request."""
