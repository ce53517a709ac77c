"""How much of a metric, or of a difference between two, is chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError
from recattn.evaluation.report import Report
from recattn.schema.columns import USER

_MUST_AGREE = ("key", "truth_sha256", "seen", "ties", "time")
DRAWS_AT_ONCE = 1 << 22


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
    (never below 2 / (n_resamples + 1), and 1 for reports that agree everywhere). Requests without a value (NaN) in
    either report are left out.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 13 and 15.

    Raises DataError when the reports judged other truth, or by other rules; ConfigError for a metric without
    per-request values or settings out of range.
    """
    check_settings(n_resamples, confidence)
    check_agree(first, second)
    ours = first.values(metric)
    differences = ours - second.values(metric).reindex(ours.index)
    differences = differences[has_value(metric, differences)]
    means, resampled = _resampled_means(first, differences, n_resamples, seed)
    low, high = percentiles(means, confidence)
    return Comparison(
        metric=metric,
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=two_sided(means),
        confidence=confidence,
        requests=len(differences),
        resampled=resampled,
    )


def mean_interval(
    report: Report, metric: str, *, n_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `metric` with its percentile bootstrap interval, resampled as in `paired_bootstrap`.

    Requests without a value (NaN) are left out.
    """
    check_settings(n_resamples, confidence)
    values = report.values(metric)
    values = values[has_value(metric, values)]
    means, resampled = _resampled_means(report, values, n_resamples, seed)
    low, high = percentiles(means, confidence)
    return Interval(metric, float(values.mean()), low, high, confidence, len(values), resampled)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """float64 [m]: p-values of m tests made together, adjusted so that they may each be compared with one level.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return adjusted


def check_agree(first: Report, second: Report) -> None:
    """DataError unless both judged the same truth by the same rules."""
    for rule in _MUST_AGREE:
        one, other = first.policy.get(rule), second.policy.get(rule)
        if one != other:
            raise DataError(
                f"reports cannot be compared: {rule} is {one!r} in the first but {other!r} in the second. "
                "Judge both by the same truth under the same policy."
            )


def two_sided(means: np.ndarray) -> float:
    """The p-value of resampled differences."""
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(means) + 1))


def groups_of(report: Report, requests: pd.Index | None = None) -> tuple[np.ndarray, pd.Index]:
    """The user of each request, int64 [X], else the request itself; with the distinct ones.

    Of `requests` (values of the key), or of all that the report has.
    """
    frame = report.per_request.set_index(str(report.policy["key"]), drop=False)
    frame = frame if requests is None else frame.loc[requests]
    return pd.factorize(frame[USER if USER in frame.columns else report.policy["key"]])


def has_value(metric: str, *values: pd.Series) -> np.ndarray:
    """bool [X]: the requests that have a value in each of `values` [X]; DataError where none has."""
    known = np.logical_and.reduce([one.notna().to_numpy() for one in values])
    if not known.any():
        raise DataError(f"{metric} has a value for no request in common: there is nothing to resample.")
    return known


def check_settings(n_resamples: int, confidence: float) -> None:
    """ConfigError for settings out of range."""
    if n_resamples < 1:
        raise ConfigError(f"n_resamples must be at least 1, got {n_resamples!r}.")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must lie between 0 and 1, such as 0.95, got {confidence!r}.")


def percentiles(means: np.ndarray, confidence: float) -> tuple[float, float]:
    """The ends of the interval that holds the middle share `confidence`."""
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampled_means(report: Report, values: pd.Series, n_resamples: int, seed: int) -> tuple[np.ndarray, int]:
    """float64 [n_resamples] means over requests of resampled users, with the number of users."""
    groups, users = groups_of(report, values.index)
    sums = np.bincount(groups, weights=values.to_numpy(), minlength=len(users))
    counts = np.bincount(groups, minlength=len(users))
    rng = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // len(users))
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, step):
        drawn = rng.integers(len(users), size=(min(step, n_resamples - start), len(users)))
        total = counts[drawn].sum(axis=1) if counts.max() > 1 else len(users)
        means[start : start + step] = sums[drawn].sum(axis=1) / total
    return means, len(users)
