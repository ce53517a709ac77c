"""Maximal marginal relevance: good items, unlike the ones before them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.base import Job
from recattn.candidates.lanes import Lanes
from recattn.candidates.similarity import ItemVectors
from recattn.errors import ConfigError
from recattn.recommender import Recommender
from recattn.schema import DataWarning, check_k
from recattn.schema.columns import ITEM, RANK, SCORE

_FLOATS = 1 << 24
_DECIMALS = 6


def mmr(
    frame: pd.DataFrame, similarity: ItemVectors | Recommender, k: int | None = None, trade_off: float = 0.7
) -> pd.DataFrame:
    """The recommendations re-ranked by maximal marginal relevance (Carbonell & Goldstein 1998), `rank` anew.

    The next item is the one with the largest trade_off * relevance - (1 - trade_off) * (similarity to the most similar
    item taken already, 0 before the first). Relevance is the score, moved to [0, 1] within the request, so that it can
    be weighed against a cosine; where there is no score, the same of -rank. Values equal to 6 decimals: the better
    rank goes first. Scores stay as they were.

    Args:
        frame: `[request_id,] user_id, item_id, score, rank`.
        similarity: Vectors of items, or a model for the cosine of its item embeddings.
        k: Items a request; None re-ranks all of them, at a cost of the square of their number.
        trade_off: 1: the order of the scores; 0: as different as can be, after the best one.
    """
    return Mmr(similarity, trade_off).apply(frame, k)


@dataclass(frozen=True, eq=False)
class Mmr:
    """`mmr` as a part of a job.

    Attributes:
        similarity: Vectors of items, or a model; None in a two-stage job is the model that ranks.
        trade_off: What relevance weighs, in [0, 1]; likeness weighs the rest.
        pool: Best-ranked items a request to choose from; those below are left out. None: all.
    """

    similarity: ItemVectors | Recommender | None = field(default=None, repr=False)
    trade_off: float = 0.7
    pool: int | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.trade_off, int | float) and not isinstance(self.trade_off, bool)
        if not number or not 0 <= self.trade_off <= 1:
            raise ConfigError(f"trade_off must lie in [0, 1], got {self.trade_off!r}.")
        if self.pool is not None:
            check_k(self.pool, name="pool")
        if not isinstance(self.similarity, ItemVectors | Recommender | None):
            raise ConfigError(f"similarity must be ItemVectors or a Recommender, got {self.similarity!r}.")

    def bound(self, job: Job) -> Mmr:
        """Itself with vectors at hand."""
        found: Any = self.similarity if self.similarity is not None else job.model
        return replace(self, similarity=found if isinstance(found, ItemVectors) else ItemVectors.of_model(found))

    def apply(self, frame: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
        """As `mmr`."""
        if k is not None:
            check_k(k)
        if self.similarity is None:
            raise ConfigError("Mmr has no similarity. Pass ItemVectors or a model.")
        vectors = self.similarity if isinstance(self.similarity, ItemVectors) else ItemVectors.of_model(self.similarity)
        lanes = Lanes.of(frame)
        codes = vectors.codes(lanes.frame[ITEM])[lanes.rows]
        _tell_without(codes, lanes)
        worth = lanes.frame[SCORE] if SCORE in lanes.frame else -lanes.frame[RANK]
        worth_by_place = worth.to_numpy(np.float64)[lanes.rows]
        keys = np.full(len(codes), -1, dtype=np.int64)
        for places in lanes.chunks(vectors.dim + 8, _FLOATS):
            pool = places[:, : self.pool]
            real = pool >= 0
            relevance = _to_unit(np.where(real, worth_by_place[pool], np.nan))
            steps = min(k or pool.shape[1], pool.shape[1])
            taken = diverse(relevance, vectors.take(np.where(real, codes[pool], 0)), real, steps, self.trade_off)
            rows, turns = np.nonzero(taken >= 0)
            keys[pool[rows, taken[rows, turns]]] = turns
        return lanes.reordered(keys)


def diverse(relevance: np.ndarray, vectors: np.ndarray, real: np.ndarray, steps: int, trade_off: float) -> np.ndarray:
    """Columns int64 [R, steps] in the order they are taken, -1 where a request has no more.

    Args:
        relevance: float64 [R, C].
        vectors: float32 [R, C, D] of length 1 or 0.
        real: bool [R, C].
        steps: How many to take.
        trade_off: Weight of relevance.
    """
    n = len(relevance)
    order = np.full((n, steps), -1, dtype=np.int64)
    nearest = np.zeros(relevance.shape)
    open_, everyone = real.copy(), np.arange(n)
    for step in range(steps):
        values = np.round(trade_off * relevance - (1 - trade_off) * nearest, _DECIMALS)
        best = np.where(open_, values, -np.inf).argmax(axis=1)  # the first of equal ones: the better rank
        more = open_[everyone, best]
        order[:, step] = np.where(more, best, -1)
        open_[everyone, best] = False
        alike = np.matmul(vectors, vectors[everyone, best][:, :, None])[:, :, 0].astype(np.float64)
        nearest = alike if step == 0 else np.maximum(nearest, alike)
    return order


def _to_unit(values: np.ndarray) -> np.ndarray:
    """[R, C] moved to [0, 1] within each row; NaN is 0, and a row of equal values is all 0."""
    low = np.nanmin(values, axis=1, keepdims=True)
    width = np.nanmax(values, axis=1, keepdims=True) - low
    return np.nan_to_num((values - low) / np.where(width > 0, width, 1))


def _tell_without(codes: np.ndarray, lanes: Lanes) -> None:
    without = int((codes == 0).sum())
    if without:
        warnings.warn(
            f"{without:,} of {len(codes):,} recommendations are of items the similarity does not know: they count as "
            "unlike all others.",
            DataWarning,
            stacklevel=4,
        )
