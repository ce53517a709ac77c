"""How much of a metric, or of a difference between two, is chance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError
from recattn.evaluation.report import Report
from recattn.schema.columns import USER

_MUST_AGREE = ("key", "truth_sha256", "seen", "ties", "time")
_DRAWS_AT_ONCE = 1 << 22


@dataclasses.dataclass(frozen=True)
class Interval:
    """The mean of a metric and where it may lie."""

    metric: str
    mean: float
    low: float
    high: float
    confidence: float
    requests: int
    resampled: int  # users drawn with replacement, or requests where users are not known

    def __str__(self) -> str:
        return (
            f"{self.metric} {self.mean:.4f} [{self.low:.4f}, {self.high:.4f}] "
            f"({self.confidence:.0%}, {self.requests} requests)"
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The difference of a metric's means between two reports on the same requests: first minus second."""

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    confidence: float
    requests: int
    resampled: int  # users drawn with replacement, or requests where users are not known

    def __str__(self) -> str:
        return (
            f"{self.metric} {self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] "
            f"({self.confidence:.0%}, p={self.p_value:.4g}, {self.requests} requests)"
        )


def paired_bootstrap(
    first: Report,
    second: Report,
    metric: str,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Whether `first` beats `second` on `metric`, by resampling both together.

    Users are drawn with replacement, each with all its requests, because requests of one user are alike;
    where reports name no user beside the request, requests are drawn. The interval is the percentile interval
    of the resampled differences, the two-sided p-value twice the smaller share of them on either side of 0
    (never below 2 / (n_resamples + 1), and 1 for reports that agree everywhere).

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 13 and 15.

    Raises DataError when the reports judged other truth, or by other rules; ConfigError for a metric without
    per-request values or settings out of range.
    """
    _check_settings(n_resamples, confidence)
    for rule in _MUST_AGREE:
        one, other = first.policy.get(rule), second.policy.get(rule)
        if one != other:
            raise DataError(
                f"reports cannot be compared: {rule} is {one!r} in the first but {other!r} in the second. "
                "Judge both by the same truth under the same policy."
            )
    ours = first.values(metric)
    differences = ours - second.values(metric).reindex(ours.index)
    means, resampled = _resampled_means(first, differences, n_resamples, seed)
    low, high = _percentiles(means, confidence)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return Comparison(
        metric=metric,
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=min(1.0, 2 * (tail + 1) / (n_resamples + 1)),
        confidence=confidence,
        requests=len(differences),
        resampled=resampled,
    )


def mean_interval(
    report: Report, metric: str, *, n_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `metric` with its percentile bootstrap interval, resampled as in `paired_bootstrap`."""
    _check_settings(n_resamples, confidence)
    values = report.values(metric)
    means, resampled = _resampled_means(report, values, n_resamples, seed)
    low, high = _percentiles(means, confidence)
    return Interval(metric, float(values.mean()), low, high, confidence, len(values), resampled)


def _check_settings(n_resamples: int, confidence: float) -> None:
    if n_resamples < 1:
        raise ConfigError(f"n_resamples must be at least 1, got {n_resamples!r}.")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must lie between 0 and 1, such as 0.95, got {confidence!r}.")


def _percentiles(means: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampled_means(report: Report, values: pd.Series, n_resamples: int, seed: int) -> tuple[np.ndarray, int]:
    """float64 [n_resamples] means over requests of resampled users, with the number of users."""
    frame = report.per_request
    groups, users = pd.factorize(frame[USER if USER in frame.columns else report.policy["key"]])
    sums = np.bincount(groups, weights=values.to_numpy(), minlength=len(users))
    counts = np.bincount(groups, minlength=len(users))
    rng = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // len(users))
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, step):
        drawn = rng.integers(len(users), size=(min(step, n_resamples - start), len(users)))
        total = counts[drawn].sum(axis=1) if counts.max() > 1 else len(users)
        means[start : start + step] = sums[drawn].sum(axis=1) / total
    return means, len(users)
