"""Differences from the reference: of each metric, and of the headline in each segment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from recattn.comparison.contender import Contender
from recattn.comparison.resampling import Spread, Users, drawable, seed_draws
from recattn.evaluation import holm
from recattn.evaluation.significance import groups_of

RESAMPLES, A_TEST = 2000, 200  # so many that Holm's smallest p stays far below 5 %
POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Sample:
    """The requests that all contenders answered, in one order."""

    index: pd.Index
    users: Users

    @classmethod
    def of(cls, reference: Contender) -> Sample:
        report = reference.report
        return cls(pd.Index(report.per_request[str(report.policy["key"])]), Users.of_codes(groups_of(report)[0]))

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
    twice what seed and user do together.) `detectable` is the difference that such data would show with a probability
    of 80 %.
    """
    from scipy.stats import norm

    others = [one for one in contenders if one is not reference]
    n = max(RESAMPLES, A_TEST * len(others)) if n_resamples is None else n_resamples
    sample, seeds = Sample.of(reference), seed_draws([len(one.reports) for one in contenders], n, seed)
    sums = {(one.name, metric): sample.sums(one, metric) for one in contenders for metric in metrics}
    means = sample.users.resampled(
        np.concatenate([drawable(one, sample.users.counts) for one in sums.values()]).T, n, seed
    )
    ends = np.cumsum([len(one) for one in sums.values()])[:-1]
    by_seed = dict(zip(sums, np.split(means, ends, axis=1), strict=True))
    weights = dict(zip((one.name for one in contenders), seeds, strict=True))
    drawn = {which: (values * weights[which[0]]).sum(axis=1) for which, values in by_seed.items()}
    reach = float(norm.ppf((1 + confidence) / 2) + norm.ppf(POWER))
    rows = []
    for one in others:
        for metric in metrics:
            ours, theirs = (one.name, metric), (reference.name, metric)
            spread = Spread.of(sums[ours], sums[theirs], sample.users.counts)
            effect = spread.percentile(drawn[ours] - drawn[theirs], confidence)
            rows.append(
                {
                    "contender": one.name,
                    "metric": metric,
                    "value": one.mean(metric),
                    "reference": reference.mean(metric),
                    **dataclasses.asdict(effect),
                    "detectable": reach * effect.deviation,
                }
            )
    frame = pd.DataFrame(rows)
    frame["relative"] = frame["difference"] / frame["reference"].where(frame["reference"] != 0)
    headline = frame["metric"] == metrics[0]
    frame["p_holm"] = pd.Series(holm(frame["p_value"][headline].tolist()), index=frame.index[headline])
    frame["significant"] = frame["p_holm"] < 1 - confidence
    return frame


def segment_effects(
    contenders: Sequence[Contender], reference: Contender, metric: str, *, confidence: float
) -> pd.DataFrame:
    """One row a contender and group of requests, for every segment column that some report has.

    Intervals by Student's t with users as units. `p_holm` is over all rows: looked at in many groups, some difference
    always seems large. Empty without segment columns.
    """
    sample, rows = Sample.of(reference), []
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
    sample = Sample.of(reference)
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
