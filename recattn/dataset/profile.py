"""What the requests of a training looked like, to tell how far those of a job are from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LENGTH_EDGES = 2 ** np.arange(16)  # histories of 0, 1, 2-3, 4-7, ... , from 32,768 interactions on


@dataclass(frozen=True)
class Profile:
    """Counts over the users of train, and over requests of validation; it holds nobody's id.

    Attributes:
        users: Users with a history in train.
        interactions: Interactions of train.
        until: The last moment of train, UTC seconds; None where the order is all that is known.
        lengths: Users by interactions, in the bins of `length_counts`.
        score_edges: The nine deciles of the best score of a request over the catalog, on validation.
        best_scores: Requests of validation by their best score, in the bins between `score_edges`.
        unknown_items: Share of what was to be found on validation that is outside the catalog.
    """

    users: int
    interactions: int
    until: int | None
    lengths: tuple[int, ...]
    score_edges: tuple[float, ...] = ()
    best_scores: tuple[int, ...] = ()
    unknown_items: float | None = None

    def after(self, refit: Profile) -> Profile:
        """The profile of a refit, with what only the fit before it could see on validation."""
        seen = {name: getattr(self, name) for name in ("score_edges", "best_scores", "unknown_items")}
        return dataclasses.replace(refit, **seen)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Profile:
        """What `to_dict` gave; keys of a later recattn are passed over."""
        known = {field.name for field in dataclasses.fields(cls)} & values.keys()
        plain: dict[str, Any] = {k: tuple(values[k]) if isinstance(values[k], list) else values[k] for k in known}
        return cls(**plain)


def length_counts(lengths: np.ndarray) -> np.ndarray:
    """Histories by length (int [X]) in 17 bins that double: 0, 1, 2-3, 4-7, ...; int64 [17]."""
    return np.bincount(np.searchsorted(LENGTH_EDGES, lengths, side="right"), minlength=len(LENGTH_EDGES) + 1)


def score_counts(scores: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Scores (float [X], NaN passed over) in the bins between `edges`; int64 [len(edges) + 1]."""
    known = scores[~np.isnan(scores)]
    return np.bincount(np.searchsorted(np.asarray(edges), known, side="right"), minlength=len(edges) + 1)


def drift(expected: Sequence[int] | np.ndarray, seen: Sequence[int] | np.ndarray) -> float | None:
    """The population stability index of two counts over the same bins, less what chance reaches; at least 0.

    PSI = sum over bins of (q - p) ln(q / p), with half a count more in every bin: below 0.1 counts as alike, above 0.25
    as another population. For two samples of n and m of one population it is distributed as (1/n + 1/m) times
    chi-squared with bins - 1 degrees of freedom (Yurdakul and Naranjo, 2020); the 95 % quantile of that is taken off,
    so that small jobs do not look far from anything. None where either is empty.
    """
    from scipy.stats import chi2

    both = np.zeros((2, max(len(expected), len(seen))))  # bins at the end that one lacks are empty
    both[0, : len(expected)], both[1, : len(seen)] = expected, seen
    sizes = both.sum(axis=1)
    if not sizes.all():
        return None
    used = both[:, both.any(axis=0)] + 0.5
    p, q = used / used.sum(axis=1, keepdims=True)
    chance = chi2.ppf(0.95, len(p) - 1) * (1 / sizes).sum() if len(p) > 1 else 0.0
    return float(max(0.0, ((q - p) * np.log(q / p)).sum() - chance))
