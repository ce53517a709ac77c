"""Recommenders judged on the same requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from recattn.cli.console import headline, hushed, show_table
from recattn.cli.kinds import BIAS
from recattn.comparison.words import metric_title as title
from recattn.dataset import Split
from recattn.dataset.targets import Target
from recattn.evaluation import Report, evaluate, mean_interval, paired_bootstrap
from recattn.evaluation.evaluate import Metric
from recattn.schema.columns import COLD, HISTORY_LENGTH, POPULARITY, TARGET_POPULARITY

if TYPE_CHECKING:
    from recattn.baselines.base import Baseline
    from recattn.recommender import Recommender

MODEL = "recattn"
SEGMENTS = (HISTORY_LENGTH, TARGET_POPULARITY, COLD, POPULARITY)  # of every exam


@dataclasses.dataclass(frozen=True, eq=False)
class Exam:
    """The test part of a split as questions; what is seen is filtered from answers and truth alike, or from neither."""

    split: Split
    target: Target
    metrics: Sequence[Metric]
    catalog: Sequence[Any]
    exclude_seen: bool = True

    @property
    def longest(self) -> int:
        """Items a request that are asked for."""
        return max(metric.k for metric in self.metrics)

    def ask(self, recommender: Recommender | Baseline, **more: Any) -> pd.DataFrame:
        """The recommendations of a fitted model or baseline; `more` goes to its `recommend`."""
        requests, history = self.split.requests("test", self.target), self.split.history("test")
        with hushed():
            asked: dict[str, Any] = {"k": self.longest, "exclude_seen": self.exclude_seen, **more}
            return recommender.recommend(requests, history=history, **asked)

    def judge(self, recommendations: pd.DataFrame) -> Report:
        """Recommendations of anybody, over the full catalog."""
        policy = {
            "split": "leave_last_out" if self.split.leaks else "time",
            "target": self.target,
            "ties": self.split.ties,
            "time": self.split.time,
        }
        seen: Literal["keep", "drop"] = "drop" if self.exclude_seen else "keep"
        truth, segments = self.split.truth("test", self.target), self.split.segments("test", self.target)
        return evaluate(
            recommendations,
            truth,
            list(self.metrics),
            seen=seen,
            catalog=self.catalog,
            policy=policy,
            segments=segments,
        )


def table_of(reports: Mapping[str, Report], stems: Collection[str] | None = None) -> pd.DataFrame:
    """One row a recommender: `recommender`, then its metrics (of `stems`) under the names people know (`NDCG@10`)."""
    rows = [
        {"recommender": name}
        | {title(m): value for m, value in report.summary.items() if not stems or _stem(m) in stems}
        for name, report in reports.items()
    ]
    return pd.DataFrame(rows)


def more_is_better(report: Report) -> tuple[str, ...]:
    """The columns of `table_of` whose greatest value is the best."""
    return tuple(title(metric) for metric in report.summary if _stem(metric) not in (*BIAS, "intra_list_diversity"))


def show_segments(reports: Mapping[str, Report], by: Sequence[str]) -> None:
    """A table a segment column: the metrics of each recommender in each group of requests."""
    for column in by:
        tables = [report.by_segment(column).assign(recommender=name) for name, report in reports.items()]
        table = pd.concat(tables, ignore_index=True).rename(columns=lambda name: title(name) if "_" in name else name)
        headline(f"by {column}")
        show_table(table[["recommender", *table.columns.drop("recommender")]])


def _stem(metric: str) -> str:
    return metric.rpartition("_at_")[0] or metric


def interval(report: Report, metric: str) -> str:
    """`0.1234, 95% interval 0.1100 to 0.1300, 724 requests`."""
    found = mean_interval(report, metric)
    return f"{found.mean:.4f}, 95% interval {found.low:.4f} to {found.high:.4f}, {found.requests:,} requests"


def verdict(reports: Mapping[str, Report], metric: str) -> str:
    """How far the model leads the best of the others by `metric`, with the interval of that difference."""
    others = {name: report for name, report in reports.items() if name != MODEL}
    best = max(others, key=lambda name: others[name].summary[metric])
    found = paired_bootstrap(reports[MODEL], others[best], metric)
    word = "ahead of" if found.difference >= 0 else "behind"
    return (
        f"{MODEL} is {abs(found.difference):.4f} {title(metric)} {word} {best}, the best baseline "
        f"(difference {found.low:+.4f} to {found.high:+.4f} with 95%, p={found.p_value:.2g}, "
        f"{found.requests:,} requests)"
    )
