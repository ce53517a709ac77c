"""What another recommender would list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.baselines import ItemKNN
from recattn.candidates.asked import Asked
from recattn.candidates.base import Job
from recattn.candidates.frames import candidates_frame, positions
from recattn.dataset.doors import History
from recattn.errors import ConfigError, DataError, NotFittedError
from recattn.schema import check_k
from recattn.schema.columns import ITEM, RANK, SCORE


@dataclass(frozen=True)
class Recommended:
    """The lists of a fitted recommender: a baseline, a Recommender, or anything with their `recommend`.

    Users without any history get nothing from it.

    Attributes:
        recommender: Its `recommend(requests, history=, k=, exclude_seen=)` gives `user_id, item_id, score, rank`.
        source: The name its candidates carry.
        above: Only scores above this are candidates; None takes all.
        exclude_seen: Whether items of the visible history are left out. In a two-stage job its `exclude_seen` decides.
    """

    recommender: Any
    source: str = "recommended"
    above: float | None = None
    exclude_seen: bool = True

    def __post_init__(self) -> None:
        if not hasattr(self.recommender, "recommend"):
            raise ConfigError(f"Recommended.recommender must have a method 'recommend', got {self.recommender!r}.")

    def bound(self, job: Job) -> Recommended:
        """Itself with the job's policy for seen items."""
        return replace(self, exclude_seen=job.exclude_seen)

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request, in the recommender's order."""
        check_k(k)
        asked = Asked.of(requests, history=history, as_of=as_of)
        known = np.flatnonzero(asked.requests.users >= 0)
        if not len(known):
            none = np.empty(0, dtype=np.int64)
            return candidates_frame(asked, none, asked.store.item_vocabulary.decode(none), self.source, none)
        most = len(self.recommender.items) - 1 if hasattr(self.recommender, "items") else k
        listed = self.recommender.recommend(
            asked.frame.iloc[known], history=asked.store, k=max(1, min(k, most)), exclude_seen=self.exclude_seen
        )
        if self.above is not None:
            listed = listed[listed[SCORE] > self.above]
        places = asked.places(listed, f"the list of {self.recommender!r}")
        order = np.lexsort((listed[RANK].to_numpy(), places))
        places = places[order]
        return candidates_frame(asked, places, listed[ITEM].take(order).array, self.source, positions(places) + 1)


@dataclass(frozen=True)
class Neighbors:
    """What goes with the latest items of one's history (item-kNN); nothing else, so lists may be short.

    Attributes:
        neighbors: Most similar items kept for each item.
        shrinkage: Takes trust from items few people touched.
        max_history: Latest interactions that speak; None lets all of them.
        fitted: An ItemKNN that was fitted; its settings count then. None: it is fitted on what the history has before
            the earliest moment asked about, so that no request sees what came after it.
        exclude_seen: Whether items of the visible history are left out. In a two-stage job its `exclude_seen` decides.
    """

    neighbors: int = 100
    shrinkage: float = 10.0
    max_history: int | None = 5
    fitted: ItemKNN | None = None
    exclude_seen: bool = True

    def __post_init__(self) -> None:
        if self.fitted is None:
            ItemKNN(self.neighbors, self.shrinkage, self.max_history)._check("timestamp")
        elif not isinstance(self.fitted, ItemKNN):
            raise ConfigError(f"Neighbors.fitted must be an ItemKNN, got {self.fitted!r}.")
        else:
            try:
                self.fitted.items  # noqa: B018
            except NotFittedError as error:
                raise ConfigError(f"Neighbors.fitted is not fitted: {error} Or leave it out.") from None

    def bound(self, job: Job) -> Recommended:
        """The lists of the fitted item-kNN."""
        return Recommended(self._knn(job.asked), "neighbors", above=0.0, exclude_seen=job.exclude_seen)

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request, most similar first."""
        asked = Asked.of(requests, history=history, as_of=as_of)
        lists = Recommended(self._knn(asked), "neighbors", above=0.0, exclude_seen=self.exclude_seen)
        return lists.candidates(requests, history=asked.store, k=k, as_of=as_of)

    def _knn(self, asked: Asked) -> ItemKNN:
        if self.fitted is not None:
            return self.fitted
        store = asked.store
        if store.times is not None and asked.requests.as_of is not None and len(asked):
            store = store.select(store.times < asked.requests.as_of.min())
        if not len(store):
            raise DataError(
                "Neighbors has nothing to learn from: the history has no interaction before the earliest moment asked "
                "about. Pass a history that has, or Neighbors(fitted=ItemKNN().fit(train))."
            )
        return ItemKNN(self.neighbors, self.shrinkage, self.max_history).fit(store, time=store.time)
