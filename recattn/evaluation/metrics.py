"""What a list of recommendations is worth, one number a request."""

from __future__ import annotations

import dataclasses
import numbers
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from recattn.errors import ConfigError


def recall(hits: np.ndarray, truth_counts: np.ndarray, k: int) -> np.ndarray:
    """Share of the truth found among the first `k`: hits / |truth|.

    This and its siblings take `hits` bool [X, K] (X requests, columns by rank, False where a list ends) and
    `truth_counts` int [X] (at least 1), use the first `k` columns (fewer when K < k), and give float64 [X].
    """
    return np.asarray(hits[:, :k].sum(axis=1)) / np.asarray(truth_counts)


def hit_rate(hits: np.ndarray, truth_counts: np.ndarray, k: int) -> np.ndarray:
    """1 where anything of the truth is among the first `k`, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def precision(hits: np.ndarray, truth_counts: np.ndarray, k: int) -> np.ndarray:
    """Share of `k` places that hold an item of the truth: hits / k, for shorter lists too."""
    return hits[:, :k].sum(axis=1) / k


def reciprocal_rank(hits: np.ndarray, truth_counts: np.ndarray, k: int) -> np.ndarray:
    """1 / rank of the first hit among the first `k`, 0 without one."""
    top = hits[:, :k]
    if top.shape[1] == 0:
        return np.zeros(len(hits))
    return np.where(top.any(axis=1), 1.0 / (top.argmax(axis=1) + 1), 0.0)


def ndcg(hits: np.ndarray, truth_counts: np.ndarray, k: int) -> np.ndarray:
    """Binary NDCG: hits discounted by log2(rank + 1), over the best possible list of min(|truth|, k) hits.

    Source: Järvelin and Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, with the
    discount of Burges et al. (2005).
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(truth_counts, k) - 1]
    top = hits[:, :k]
    return top @ discounts[: top.shape[1]] / ideal


def average_precision(hits: np.ndarray, truth_counts: np.ndarray, k: int) -> np.ndarray:
    """Precision at the rank of each hit among the first `k`, summed, over the best possible: min(|truth|, k) hits.

    Source: Manning, Raghavan and Schütze (2008), Introduction to Information Retrieval, 8.4, cut at k.
    """
    top = hits[:, :k]
    precisions = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return (precisions * top).sum(axis=1) / np.minimum(truth_counts, k)


@runtime_checkable
class RequestMetric(Protocol):
    """A metric with one value a request; `evaluate` takes any object of this form."""

    @property
    def k(self) -> int:
        """Ranks that count."""

    @property
    def name(self) -> str:
        """Key of the metric in `Report.summary`, fit for MLflow: letters, digits, underscores."""

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        """float64 [X] from `hits` bool [X, K] by rank and `truth_counts` int [X]."""


@dataclasses.dataclass(frozen=True)
class AtK:
    """A metric of the first `k` places, with a value's face and a name that says its k."""

    k: int
    stem: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, numbers.Integral) or self.k < 1:
            raise ConfigError(f"{type(self).__name__} needs k to be a whole number of at least 1, got {self.k!r}.")

    @property
    def name(self) -> str:
        return f"{self.stem}_at_{int(self.k)}"


@dataclasses.dataclass(frozen=True)
class Recall(AtK):
    """Share of a request's truth among its first `k`. See `recall`."""

    stem: ClassVar[str] = "recall"

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        return recall(hits, truth_counts, self.k)


@dataclasses.dataclass(frozen=True)
class HitRate(AtK):
    """Whether any of a request's truth is among its first `k`. See `hit_rate`."""

    stem: ClassVar[str] = "hit_rate"

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        return hit_rate(hits, truth_counts, self.k)


@dataclasses.dataclass(frozen=True)
class Precision(AtK):
    """Share of the first `k` places with an item of the truth. See `precision`."""

    stem: ClassVar[str] = "precision"

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        return precision(hits, truth_counts, self.k)


@dataclasses.dataclass(frozen=True)
class MRR(AtK):
    """One over the rank of the first hit among the first `k`. See `reciprocal_rank`."""

    stem: ClassVar[str] = "mrr"

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        return reciprocal_rank(hits, truth_counts, self.k)


@dataclasses.dataclass(frozen=True)
class NDCG(AtK):
    """Binary normalised discounted cumulative gain at `k`. See `ndcg`."""

    stem: ClassVar[str] = "ndcg"

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        return ndcg(hits, truth_counts, self.k)


@dataclasses.dataclass(frozen=True)
class MAP(AtK):
    """Mean over requests of the average precision at `k`. See `average_precision`."""

    stem: ClassVar[str] = "map"

    def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
        return average_precision(hits, truth_counts, self.k)
