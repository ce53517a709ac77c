"""What a comparison has found."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from recattn.comparison.words import metric_title


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ComparisonResult:
    """Contenders beside a reference; frames are for reading, and may be empty where nothing is known.

    Attributes:
        reference: Name of the contender that all others are set against.
        metric: The headline: what is tested.
        k: Places of the lists that are set beside each other.
        confidence: Of all intervals; 1 - confidence is the level of the tests.
        contenders: A row a contender: `contender`, `seeds`, `members`, `requests`, `users`.
        values: A row a contender: `contender` and every metric that all share, catalog-wide ones too.
        effects: A row a contender and metric: `value`, `reference`, `difference` with `low`, `high`, `p_value`,
            `p_holm` (headline only), `significant`, `relative`, `detectable`, `differ` (users that differ).
        segments: A row a contender and group of requests, of the headline.
        differences: A row a contender: shares of requests better, equal, worse, and their histogram.
        pairs: Every two contenders: `overlap`, `rbo`, `same_first` of their lists.
        exposure: A row a contender: what its lists show.
        changed: Requests whose lists changed most.
        params: A row a setting that differs; a column a contender.
        cost: A row a contender.
        policy: A row a rule; a column a contender.
        curves: By contender: metric -> {epoch: value}.
        notes: What differs between contenders without forbidding to compare them, and what is missing.
    """

    reference: str
    metric: str
    k: int
    confidence: float
    contenders: pd.DataFrame
    values: pd.DataFrame
    effects: pd.DataFrame
    segments: pd.DataFrame
    differences: pd.DataFrame
    pairs: pd.DataFrame
    exposure: pd.DataFrame
    changed: pd.DataFrame
    params: pd.DataFrame
    cost: pd.DataFrame
    policy: pd.DataFrame
    curves: Mapping[str, Mapping[str, Mapping[int, float]]]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """`effects`: one row a contender and metric."""
        return self.effects.copy()

    def to_json(self) -> str:
        """Everything, frames as lists of rows; numbers that are not there are null."""
        plain: dict[str, object] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            plain[field.name] = (
                json.loads(value.to_json(orient="records", double_precision=12))
                if isinstance(value, pd.DataFrame)
                else value
            )
        return json.dumps(plain, indent=1)

    @property
    def headline(self) -> pd.DataFrame:
        """The rows of `effects` that are tested, largest difference first."""
        rows = self.effects[self.effects["metric"] == self.metric]
        return rows.sort_values("difference", ascending=False, kind="stable").reset_index(drop=True)

    def verdicts(self) -> list[str]:
        """One sentence a contender, largest difference first."""
        return [self._verdict(row) for row in self.headline.to_dict("records")]

    def _verdict(self, row: Mapping[Hashable, Any]) -> str:
        share = f" ({row['relative']:+.1%})" if row["relative"] == row["relative"] else ""
        said = (
            f"{row['difference']:+.4f}{share} {metric_title(self.metric)} against {self.reference}, "
            f"{self.confidence:.0%} interval {row['low']:+.4f} to {row['high']:+.4f}, Holm p = {row['p_holm']:.2g}"
        )
        if not row["differ"]:
            return f"{row['contender']} is equal to {self.reference} in every request."
        if row["significant"]:
            return f"{row['contender']} is {'better' if row['difference'] > 0 else 'worse'}: {said}."
        return (
            f"{row['contender']} is not shown to differ: {said}. A difference of {row['detectable']:.4f} would be seen "
            "in four of five such samples."
        )

    def __repr__(self) -> str:
        return "\n".join([f"ComparisonResult({self.metric}, reference {self.reference!r})", *self.verdicts()])

    def _repr_html_(self) -> str:
        columns = ["contender", "value", "difference", "low", "high", "p_holm", "significant"]
        caption = f"<p>{metric_title(self.metric)} against the reference, tested by Holm's procedure</p>"
        return caption + self.headline[columns].to_html(index=False, float_format="{:.4f}".format)
