"""One side of a comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from recattn.errors import ConfigError, DataError, listed
from recattn.evaluation import Report


@dataclasses.dataclass(frozen=True, eq=False)
class Contender:
    """A recommender as it was judged; fitted with several seeds, it is one contender with several reports.

    Attributes:
        name: What it is called; unique within a comparison.
        reports: One a seed.
        members: What each report is known by, such as a run id.
        recommendations: The lists judged, of the first seed: the key of the report, `item_id`, `rank`.
        params: Settings as text.
        cost: `fit_seconds`, `peak_memory_mb`, `parameters`, `recommend_seconds`: what is known, means over seeds.
        curves: Metric -> {epoch: value}, of the first seed.
        circumstances: What should be the same but need not be: versions, digests of data.
        valid: The headline metric on validation, None where unknown.
    """

    name: str
    reports: tuple[Report, ...]
    members: tuple[str, ...] = ()
    recommendations: pd.DataFrame | None = None
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cost: Mapping[str, float] = dataclasses.field(default_factory=dict)
    curves: Mapping[str, Mapping[int, float]] = dataclasses.field(default_factory=dict)
    circumstances: Mapping[str, str] = dataclasses.field(default_factory=dict)
    valid: float | None = None

    @property
    def report(self) -> Report:
        """The report of the first seed."""
        return self.reports[0]

    def mean(self, metric: str) -> float:
        """The metric, mean over seeds."""
        return sum(report.summary[metric] for report in self.reports) / len(self.reports)


def contenders_of(given: Mapping[str, Report | Sequence[Report]] | Sequence[Contender]) -> list[Contender]:
    """Contenders with names of their own; ConfigError for fewer than two, or a name twice."""
    if isinstance(given, Mapping):
        found = [
            Contender(str(name), (reports,) if isinstance(reports, Report) else tuple(reports))
            for name, reports in given.items()
        ]
    else:
        found = list(given)
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"contenders must have different names, but {listed(twice)} is there more than once.")
    if len(found) < 2:
        raise ConfigError(f"a comparison needs at least two contenders, got {len(found)} ({listed(names) or 'none'}).")
    for one in found:
        if not one.reports:
            raise DataError(f"contender {one.name!r} has no report. Give it one a seed.")
    return found
