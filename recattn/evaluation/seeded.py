"""Models fitted with several seeds: how much of a difference is the luck of users and of seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from recattn.errors import DataError
from recattn.evaluation.report import Report
from recattn.evaluation.significance import (
    DRAWS_AT_ONCE,
    Comparison,
    Interval,
    check_agree,
    check_settings,
    groups_of,
    has_value,
    percentiles,
    two_sided,
)


def seeded_bootstrap(
    first: Sequence[Report],
    second: Sequence[Report],
    metric: str,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Whether a model beats another on `metric`, each fitted with several seeds: one report a seed.

    Users are drawn with replacement as in `paired_bootstrap`, the same for both models; the seeds of each model are
    drawn with replacement, too, apart from the other's, because a seed is luck of that fit alone. What a seed adds to
    the mean over seeds is stretched by sqrt(S / (S - 1)), without which S drawn seeds vary too little. A model with one
    report counts as one without luck.

    Source: Owen (2007), The pigeonhole bootstrap: factors crossed with each other are drawn independently, which errs
    on the side of too wide intervals.

    Requests without a value (NaN) in some report are left out. Raises DataError and ConfigError as `paired_bootstrap`
    does, and for a model without reports.
    """
    check_settings(n_resamples, confidence)
    requests = _requests(metric, first, second)
    users = groups_of(first[0], requests)[0]
    ours, theirs = (_UserSums.of(one, metric, requests, users, int(one is not first)) for one in (first, second))
    means = np.concatenate([ours.means(d) - theirs.means(d) for d in _draws(ours, n_resamples, seed, theirs)])
    low, high = percentiles(means, confidence)
    return Comparison(
        metric=metric,
        difference=ours.mean - theirs.mean,
        low=low,
        high=high,
        p_value=two_sided(means),
        confidence=confidence,
        requests=ours.requests,
        resampled=len(ours.counts),
    )


def seeded_interval(
    reports: Sequence[Report], metric: str, *, n_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `metric` over the seeds of a model, users and seeds resampled as in `seeded_bootstrap`."""
    check_settings(n_resamples, confidence)
    requests = _requests(metric, reports)
    sums = _UserSums.of(reports, metric, requests, groups_of(reports[0], requests)[0], 0)
    means = np.concatenate([sums.means(draw) for draw in _draws(sums, n_resamples, seed)])
    low, high = percentiles(means, confidence)
    return Interval(metric, sums.mean, low, high, confidence, sums.requests, len(sums.counts))


@dataclasses.dataclass(frozen=True)
class _Draw:
    """R resamples."""

    users: np.ndarray  # float64 [R, U] how often each user was drawn
    seeds: tuple[np.ndarray, ...]  # float64 [R, S] the weight of each seed, a model each


@dataclasses.dataclass(frozen=True)
class _UserSums:
    """A metric of one model: what each user's requests sum to, by seed."""

    sums: np.ndarray  # float64 [S, U], what a seed adds already stretched
    counts: np.ndarray  # float64 [U] requests
    model: int  # its place in `_Draw.seeds`

    @classmethod
    def of(cls, reports: Sequence[Report], metric: str, requests: pd.Index, users: np.ndarray, model: int) -> _UserSums:
        values = [report.values(metric).reindex(requests).to_numpy() for report in reports]
        sums = np.stack([np.bincount(users, weights=one) for one in values])
        if len(sums) > 1:
            centre = sums.mean(axis=0)
            sums = centre + np.sqrt(len(sums) / (len(sums) - 1)) * (sums - centre)
        counts = np.bincount(users).astype(np.float64)
        return cls(sums, counts, model)

    @property
    def mean(self) -> float:
        return float(self.sums.mean(axis=0).sum() / self.counts.sum())

    @property
    def requests(self) -> int:
        return int(self.counts.sum())

    def means(self, draw: _Draw) -> np.ndarray:
        """float64 [R] means over the requests of drawn users and seeds."""
        by_seed = draw.users @ self.sums.T / (draw.users @ self.counts)[:, None]
        return (by_seed * draw.seeds[self.model]).sum(axis=1)


def _requests(metric: str, *models: Sequence[Report]) -> pd.Index:
    """The requests with a value of `metric` in all reports of all models, which must agree."""
    if not all(map(len, models)):
        raise DataError("a model has no reports. Pass one a seed.")
    reports = [report for reports in models for report in reports]
    for report in reports:
        check_agree(reports[0], report)
    index = reports[0].values(metric).index
    return index[has_value(metric, *(report.values(metric).reindex(index) for report in reports))]


def _draws(first: _UserSums, n_resamples: int, seed: int, second: _UserSums | None = None) -> Iterator[_Draw]:
    rng = np.random.default_rng(seed)
    size = len(first.counts)
    step = max(1, DRAWS_AT_ONCE // size)
    sizes = [len(one.sums) for one in (first, second) if one is not None]
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        drawn = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        users = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        seeds = tuple(rng.multinomial(count, np.full(count, 1 / count), size=rows) / count for count in sizes)
        yield _Draw(users.astype(np.float64), seeds)
