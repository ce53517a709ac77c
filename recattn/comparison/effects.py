"""Differences from the reference: of each metric, and of the headline in each segment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from recattn.comparison.contender import Contender
from recattn.comparison.resampling import Spread, Users, drawable, seed_draws
from recattn.evaluation import holm
from recattn.evaluation.significance import groups_of, has_value

RESAMPLES, A_TEST = 2000, 200  # so many that Holm's smallest p stays far below 5 %
POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Sample:
    """The requests for which all contenders have a value of some metrics, in one order."""

    index: pd.Index
    users: Users
    metrics: tuple[str, ...]

    @classmethod
    def each(cls, contenders: Sequence[Contender], reference: Contender, metrics: Sequence[str]) -> list[Sample]:
        """Metrics that the same requests have together, the first of `metrics` first; DataError if no request has one.

        A metric such as novelty has no value for an empty list.
        """
        report = reference.report
        index = pd.Index(report.per_request[str(report.policy["key"])])
        together: dict[bytes, list[str]] = {}
        for metric in metrics:
            values = [one.values(metric).reindex(index) for contender in contenders for one in contender.reports]
            together.setdefault(has_value(metric, *values).tobytes(), []).append(metric)
        found = []
        for mask, names in together.items():
            some = index[np.frombuffer(mask, dtype=bool)]
            found.append(cls(some, Users.of_codes(groups_of(report, some)[0]), tuple(names)))
        return found

    @classmethod
    def of(cls, contenders: Sequence[Contender], reference: Contender, metric: str) -> Sample:
        """The requests for which all have a value of `metric`."""
        return cls.each(contenders, reference, [metric])[0]

    def values(self, contender: Contender, metric: str) -> np.ndarray:
        """float64 [S, X], a row a seed."""
        rows = [report.values(metric).reindex(self.index).to_numpy(np.float64) for report in contender.reports]
        return np.stack(rows)

    def sums(self, contender: Contender, metric: str) -> np.ndarray:
        """float64 [S, U], a row a seed."""
        return np.stack([self.users.sums(row) for row in self.values(contender, metric)])


def metric_effects(
    contenders: Sequence[Contender],
    reference: Contender,
    metrics: Sequence[str],
    *,
    n_resamples: int | None,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """One row a contender and metric; the first of `metrics` is the headline, whose p-values are Holm's.

    Users are drawn with all their requests, the same for all contenders and metrics; of a contender with several seeds
    its seeds are drawn, too. (`recattn.evaluation.seeded_bootstrap` does so as well, with wider intervals: it counts
    twice what seed and user do together.) Requests without a value in some report are left out of that metric.
    `detectable` is the difference that such data would show with a probability of 80 %.
    """
    others = [one for one in contenders if one is not reference]
    n = max(RESAMPLES, A_TEST * len(others)) if n_resamples is None else n_resamples
    parts = [
        _effects_of(sample, contenders, reference, n, confidence, seed)
        for sample in Sample.each(contenders, reference, metrics)
    ]
    order = {metric: place for place, metric in enumerate(metrics)}
    frame = pd.concat(parts, ignore_index=True).sort_values("metric", key=lambda name: name.map(order), kind="stable")
    places = {one.name: place for place, one in enumerate(others)}
    frame = frame.sort_values("contender", key=lambda name: name.map(places), kind="stable", ignore_index=True)
    frame["relative"] = frame["difference"] / frame["reference"].where(frame["reference"] != 0)
    headline = frame["metric"] == metrics[0]
    frame["p_holm"] = pd.Series(holm(frame["p_value"][headline].tolist()), index=frame.index[headline])
    frame["significant"] = frame["p_holm"] < 1 - confidence
    return frame


def _effects_of(
    sample: Sample, contenders: Sequence[Contender], reference: Contender, n: int, confidence: float, seed: int
) -> pd.DataFrame:
    """One row a contender and metric of the sample."""
    from scipy.stats import norm

    seeds = seed_draws([len(one.reports) for one in contenders], n, seed)
    sums = {(one.name, metric): sample.sums(one, metric) for one in contenders for metric in sample.metrics}
    means = sample.users.resampled(
        np.concatenate([drawable(one, sample.users.counts) for one in sums.values()]).T, n, seed
    )
    ends = np.cumsum([len(one) for one in sums.values()])[:-1]
    by_seed = dict(zip(sums, np.split(means, ends, axis=1), strict=True))
    weights = dict(zip((one.name for one in contenders), seeds, strict=True))
    drawn = {which: (values * weights[which[0]]).sum(axis=1) for which, values in by_seed.items()}
    reach = float(norm.ppf((1 + confidence) / 2) + norm.ppf(POWER))
    rows = []
    for one, metric in ((one, metric) for one in contenders if one is not reference for metric in sample.metrics):
        ours, theirs = (one.name, metric), (reference.name, metric)
        spread = Spread.of(sums[ours], sums[theirs], sample.users.counts)
        effect = spread.percentile(drawn[ours] - drawn[theirs], confidence)
        rows.append(
            {
                "contender": one.name,
                "metric": metric,
                "value": float(sums[ours].mean(axis=0).sum() / len(sample.index)),
                "reference": float(sums[theirs].mean(axis=0).sum() / len(sample.index)),
                "requests": len(sample.index),
                **dataclasses.asdict(effect),
                "detectable": reach * effect.deviation,
            }
        )
    return pd.DataFrame(rows)


def segment_effects(
    contenders: Sequence[Contender], reference: Contender, metric: str, *, confidence: float
) -> pd.DataFrame:
    """One row a contender and group of requests, for every segment column that some report has.

    Intervals by Student's t with users as units. `p_holm` is over all rows: looked at in many groups, some difference
    always seems large. Empty without segment columns.
    """
    sample, rows = Sample.of(contenders, reference, metric), []
    reports = {name: one.report for one in reversed(contenders) for name in one.report.segment_columns}
    values = {one.name: sample.values(one, metric) for one in contenders} if reports else {}
    ours = [column for column in dict.fromkeys(reference.report.segment_columns) if column in reports]
    for column in dict.fromkeys([*ours, *reports]):
        groups = reports[column].segment(column).reindex(sample.index)
        for group in groups.cat.categories:
            inside = (groups == group).to_numpy()
            users = Users.of_codes(pd.factorize(sample.users.of[inside])[0])
            sums = {name: np.stack([users.sums(row[inside]) for row in seeds]) for name, seeds in values.items()}
            for one in contenders:
                if one is reference:
                    continue
                effect = Spread.of(sums[one.name], sums[reference.name], users.counts).normal(confidence)
                rows.append(
                    {
                        "column": column,
                        "segment": str(group),
                        "requests": int(inside.sum()),
                        "users": len(users.counts),
                        "contender": one.name,
                        "value": float(values[one.name][:, inside].mean()),
                        "reference": float(values[reference.name][:, inside].mean()),
                        **dataclasses.asdict(effect),
                    }
                )
    frame = pd.DataFrame(rows)
    if len(frame):
        frame["p_holm"] = holm(frame["p_value"].tolist())
        frame["significant"] = frame["p_holm"] < 1 - confidence
    return frame


def request_differences(contenders: Sequence[Contender], reference: Contender, metric: str) -> pd.DataFrame:
    """One row a contender: shares of requests that are `better`, `equal`, `worse`, and a histogram of the rest.

    `histogram` counts the differences that are not 0 in 40 equal bins from -1 to 1 (or the largest there is).
    """
    sample = Sample.of(contenders, reference, metric)
    theirs, rows = sample.values(reference, metric).mean(axis=0), []
    found = {one.name: sample.values(one, metric).mean(axis=0) - theirs for one in contenders if one is not reference}
    largest = max([1.0, *(float(np.abs(one).max(initial=0)) for one in found.values())])
    for name, differences in found.items():
        moved = differences[np.abs(differences) > 1e-12]
        counts, edges = np.histogram(moved, bins=40, range=(-largest, largest))
        shares = [float((moved > 0).sum()), float(len(differences) - len(moved)), float((moved < 0).sum())]
        better, equal, worse = (share / len(differences) for share in shares)
        rows.append(
            {
                "contender": name,
                "better": better,
                "equal": equal,
                "worse": worse,
                "histogram": counts.tolist(),
                "edges": np.round(edges, 6).tolist(),
            }
        )
    return pd.DataFrame(rows)
