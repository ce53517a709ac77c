"""Recommenders judged on the same requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from recattn.cli.console import hushed
from recattn.dataset import Split
from recattn.dataset.targets import Target
from recattn.evaluation import Report, evaluate, mean_interval, paired_bootstrap
from recattn.evaluation.evaluate import Metric

if TYPE_CHECKING:
    from recattn.baselines.base import Baseline
    from recattn.recommender import Recommender

MODEL = "recattn"


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


def table_of(reports: Mapping[str, Report]) -> pd.DataFrame:
    """One row a recommender: `recommender`, then its metrics under the names people know (`NDCG@10`)."""
    rows = [{"recommender": name} | {title(m): v for m, v in r.summary.items()} for name, r in reports.items()]
    return pd.DataFrame(rows)


def title(metric: str) -> str:
    """`NDCG@10` for `ndcg_at_10`."""
    stem, _, k = metric.rpartition("_at_")
    words = {"ndcg": "NDCG", "mrr": "MRR", "hit_rate": "HitRate"}
    return f"{words.get(stem, stem.capitalize())}@{k}"


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
