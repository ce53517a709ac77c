"""What was decided, with all that speaks for it and against it."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Literal

from recattn.evaluation import Report
from recattn.tracking.promotion.rules import Guards, Rules

Outcome = Literal["promoted", "refused"]


@dataclasses.dataclass(frozen=True)
class Check:
    """One rule, held against the figures.

    Attributes:
        name: window, fresh, users, minimum, headline, coverage, short_history, latency, size.
        passed: None where it was not made.
        says: The rule and the figures as a sentence.
        challenger: The challenger's figure.
        champion: The champion's.
        threshold: What the challenger's figure, or the bound, was held against.
        bound: The one-sided lower bound of the difference, where one was computed.
        p_value: One-sided, of no difference, where a test was made.
        count: Users (or requests, where users are not known) behind the figures.
    """

    name: str
    passed: bool | None
    says: str
    challenger: float | None = None
    champion: float | None = None
    threshold: float | None = None
    bound: float | None = None
    p_value: float | None = None
    count: int | None = None


@dataclasses.dataclass(frozen=True)
class Window:
    """The data an evaluation judged: the digest of its truth and, where known, the time that it spans."""

    truth_sha256: str
    truth_from: str | None = None
    truth_until: str | None = None

    @classmethod
    def of(cls, report: Report) -> Window:
        """The window of a report."""
        rules = report.policy
        times = (str(rules[name]) if rules.get(name) else None for name in ("truth_from", "truth_until"))
        return cls(str(rules["truth_sha256"]), *times)

    def meets(self, other: Window) -> bool:
        """Whether both hold data in common: the same truth, or spans of time that overlap."""
        if self.truth_sha256 == other.truth_sha256:
            return True
        ours, theirs = (self.truth_from, self.truth_until), (other.truth_from, other.truth_until)
        if not all(ours) or not all(theirs):
            return False
        mine, its = [[datetime.datetime.fromisoformat(str(t)) for t in span] for span in (ours, theirs)]
        return mine[0] <= its[1] and its[0] <= mine[1]

    def __str__(self) -> str:
        span = f" ({self.truth_from} to {self.truth_until})" if self.truth_from else ""
        return f"truth {self.truth_sha256[:12]}{span}"


@dataclasses.dataclass(frozen=True)
class Decision:
    """The outcome for one challenger.

    Attributes:
        outcome: promoted, or refused.
        dry_run: Whether nothing was written.
        name: Of the registered model.
        version: The challenger's version; None for a dry run of a run that is not registered yet.
        run_id: The challenger's run.
        previous: The champion's version before; None where there was none.
        champion_run_id: Its run.
        checks: All that was looked at, in order.
        window: The data judged.
        spent: Whether the window counts as used by this decision.
        evaluated_at: When the older of the two evaluations was written, ISO 8601.
        expires_at: When it no longer counts.
        decided_at: Now.
        by: The user, as MLflow has it.
        prefix: Of the evaluation in the runs.
        rules: Those applied.
        guards: Those applied.
        facts: Digests and counts of both evaluations and models.
    """

    outcome: Outcome
    dry_run: bool
    name: str
    version: str | None
    run_id: str
    previous: str | None
    champion_run_id: str | None
    checks: tuple[Check, ...]
    window: Window
    spent: bool
    evaluated_at: str
    expires_at: str
    decided_at: str
    by: str
    prefix: str
    rules: Rules
    guards: Guards
    facts: dict[str, Any]

    @property
    def reasons(self) -> list[str]:
        """What spoke against it."""
        return [check.says for check in self.checks if check.passed is False]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)
