"""What a challenger must show to become the champion."""

from __future__ import annotations

import dataclasses
from typing import Literal

from recattn.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Rules:
    """How much better, by what metric, with what certainty.

    Attributes:
        metric: The headline metric, one with a value for each request.
        level: One-sided error rate: how often a challenger that is no better may pass.
        minimal_effect: The difference that the lower bound must exceed, in units of the metric.
        minimum: What the lower bound of the challenger's own mean must exceed, with a champion or without.
        min_users: Users that must have been judged; with fewer the bootstrap does not keep its level.
        n_resamples: Bootstrap resamples of the users.
        seed: Of the resamples; the same evidence gives the same decision.
        max_age_days: Days after the evaluation in which it counts as evidence.
    """

    metric: str = "ndcg_at_10"
    level: float = 0.05
    minimal_effect: float = 0.0
    minimum: float = 0.0
    min_users: int = 100
    n_resamples: int = 2000
    seed: int = 0
    max_age_days: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.level < 0.5:
            raise ConfigError(f"rules.level must lie between 0 and 0.5, such as 0.05, got {self.level!r}.")
        if self.n_resamples * self.level < 20:
            raise ConfigError(
                f"rules.n_resamples={self.n_resamples} are too few for level {self.level}: give at least "
                f"{round(20 / self.level)}."
            )
        for name in ("minimal_effect", "max_age_days", "seed"):
            _not_negative("rules", name, getattr(self, name))
        if self.min_users < 2:
            raise ConfigError(f"rules.min_users must be at least 2, got {self.min_users!r}.")

    @property
    def confidence(self) -> float:
        """Of the two-sided interval whose lower end is the one-sided bound."""
        return 1 - 2 * self.level


@dataclasses.dataclass(frozen=True)
class Guards:
    """What must not get worse, and by how much it may: non-inferiority margins. `null` turns a guard off.

    Attributes:
        coverage: A metric of the whole evaluation, such as coverage_at_10.
        coverage_margin: Share of the champion's value that may be lost.
        coverage_minimum: Lowest value at all.
        short_history: Requests with at most so many past interactions, judged by the headline metric.
        short_history_margin: Share of the champion's mean there that may be lost; the lower bound of the
            difference must lie above it.
        short_history_minimum: Lowest mean there at all.
        latency: `cost/recommend_seconds` (taken per request), or any metric of the run where less is better, such
            as serving/p99_ms.
        latency_margin: Share that may be added.
        latency_limit: Highest value at all.
        size: As latency, such as cost/parameters.
        size_margin: Share that may be added.
        size_limit: Highest value at all.
        missing: What becomes of a guard whose figure a run lacks: the promotion is refused, or the guard skipped.
    """

    coverage: str | None = "coverage_at_10"
    coverage_margin: float = 0.05
    coverage_minimum: float | None = None
    short_history: int | None = 4
    short_history_margin: float = 0.1
    short_history_minimum: float | None = None
    latency: str | None = "cost/recommend_seconds"
    latency_margin: float = 0.25
    latency_limit: float | None = None
    size: str | None = "cost/parameters"
    size_margin: float = 0.5
    size_limit: float | None = None
    missing: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self) -> None:
        for name in ("coverage_margin", "short_history_margin", "latency_margin", "size_margin"):
            _not_negative("guards", name, getattr(self, name))
        _not_negative("guards", "short_history", self.short_history or 0)
        if self.missing not in ("refuse", "skip"):
            raise ConfigError(f"guards.missing must be 'refuse' or 'skip', got {self.missing!r}.")


def _not_negative(where: str, name: str, value: float) -> None:
    if not value >= 0:
        raise ConfigError(f"{where}.{name} must not be negative, got {value!r}.")
