"""The outcome of one evaluation."""

from __future__ import annotations

import dataclasses
from html import escape

import pandas as pd

from recattn.errors import ConfigError, nearest
from recattn.evaluation import segments


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What was measured, on whom, under which rules.

    Attributes:
        summary: Metric name -> plain float, the mean over requests (coverage: one value for all), ready for
            `mlflow.log_metrics(report.summary)`.
        per_request: One row a request of the truth, in the truth's order: the key column (`policy["key"]`),
            `user_id` where the key is `request_id`, one column a metric, the segment columns that were given.
        policy: What two reports must share to be compared: `key`, `seen`, `k` (all of them, as text),
            `truth_sha256`, `users_sha256`, `catalog_sha256`, `catalog_size` (where given), rules of the caller;
            further `truth_from`, `truth_until` (ISO 8601 in UTC, where the truth has times), `segments` (names of the
            segment columns with commas between, where there are some), and the counts `requests`, `truth_rows`,
            `duplicate_truth_rows`, `seen_truth_rows_dropped`, `requests_dropped`,
            `requests_without_recommendations`, `extra_requests_ignored`, `unscored_rows_ignored`, `longest_list` (a k
            above it was judged on shorter lists).
    """

    summary: dict[str, float]
    per_request: pd.DataFrame
    policy: dict[str, str | int]

    def to_frame(self) -> pd.DataFrame:
        """One row a metric: `metric`, `value`."""
        return pd.DataFrame({"metric": list(self.summary), "value": list(self.summary.values())})

    def values(self, metric: str) -> pd.Series:
        """float64 [X], `metric` of each request, indexed by the key. Raises ConfigError if there is none."""
        key = str(self.policy["key"])
        names = self._metrics
        if metric not in names:
            why = "has one value for all requests" if metric in self.summary else "is not in this report"
            raise ConfigError(
                f"metric {metric!r} {why}.{nearest(metric, names)} Per request there are: {', '.join(names)}."
            )
        return self.per_request.set_index(key)[metric]

    def segment(self, column: str) -> pd.Series:
        """The group of each request by a segment column, indexed by the key: an ordered categorical of texts.

        See `recattn.evaluation.segments.bins` for the groups. Raises ConfigError if there is no such column.
        """
        return segments.bins(self.per_request.set_index(str(self.policy["key"]))[self._segment_column(column)])

    def by_segment(self, column: str) -> pd.DataFrame:
        """One row a group of requests, in their order: `segment` (text), `requests`, the mean of each metric.

        See `recattn.evaluation.segments.bins` for the groups. Raises ConfigError if there is no such column.
        """
        return segments.by_segment(self.per_request, self._segment_column(column), self._metrics)

    @property
    def segment_columns(self) -> list[str]:
        """Names of the segment columns of `per_request`."""
        return [name for name in str(self.policy.get("segments", "")).split(",") if name]

    @property
    def _metrics(self) -> list[str]:
        """Metrics with a value a request."""
        return [name for name in self.summary if name in self.per_request.columns]

    def _segment_column(self, column: str) -> str:
        names = self.segment_columns
        if column not in names:
            has = f"It has: {', '.join(names)}." if names else "It has none: evaluate(..., segments=frame) takes them."
            raise ConfigError(f"the report has no segment column {column!r}.{nearest(column, names)} {has}")
        return column

    def __repr__(self) -> str:
        return f"Report({self._headline()}: {', '.join(f'{k}={v:.4f}' for k, v in self.summary.items())})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{value:.4f}</td></tr>" for name, value in self.summary.items())
        return f"<table><caption>{escape(self._headline())}</caption>{rows}</table>"

    def _headline(self) -> str:
        policy = self.policy
        by = f"{policy['requests']} requests by {policy['key']}"
        return f"{by}, {policy['truth_rows']} truth rows, seen={policy['seen']}"
