"""What a job may meet before it counts as failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from recattn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from recattn.dataset.profile import Profile
    from recattn.jobs.facts import Facts

SHARES = {
    "unknown_items": "of the slate's rows have an item the model does not know",
    "unknown_history": "of the history's interactions have an item the model does not know",
    "no_history": "of the requests see no interaction",
}
DISTANCES = {
    "drift": "is how far histories are from those of train in length (PSI)",
    "score_drift": "is how far the best scores are from those of validation (PSI)",
}


@dataclass(frozen=True)
class FailIf:
    """Most that may be met; above it the job fails and nothing is published. None: no limit.

    Attributes:
        unknown_items: Share of the slate's rows whose item the model does not know, 0 to 1.
        unknown_history: Share of the history's interactions whose item the model does not know, 0 to 1.
        no_history: Share of the requests that see no interaction, 0 to 1.
        drift: Distance of the lengths of histories from those of train (PSI less chance; 0.1 is little, 0.25 much).
        score_drift: Distance of the best score of a request from validation (PSI less chance).
    """

    unknown_items: float | None = None
    unknown_history: float | None = None
    no_history: float | None = None
    drift: float | None = None
    score_drift: float | None = None

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            most = 1.0 if name in SHARES else float("inf")
            if limit is not None and not 0 <= limit <= most:
                wanted = "a share from 0 to 1" if name in SHARES else "a number of at least 0"
                raise ConfigError(f"fail_if.{name} must be {wanted}, got {limit!r}.")

    def check_possible(self, profile: Profile | None, *, slate: bool, own_score: bool) -> None:
        """ConfigError for a limit of what this job cannot tell."""
        lacking = {
            "unknown_items": None if slate else "is for a slate, and this job lists the catalog",
            "drift": None if profile else "needs the profile of the training, which this model was saved without",
            "score_drift": None
            if own_score and profile is not None and profile.best_scores
            else "needs the model's own score, and a model trained with validation and saved with its profile",
        }
        for name, reason in lacking.items():
            if getattr(self, name) is not None and reason is not None:
                raise ConfigError(f"fail_if.{name} {reason}. Leave it out.")

    def check_history(self, unknown: float, where: str) -> None:
        """LimitPassed where the history passes its limit, which is known before the start."""
        if self.unknown_history is not None and unknown > self.unknown_history:
            raise LimitPassed(f"{where} is not begun: {_told('unknown_history', unknown, self.unknown_history)}.")

    def check(self, facts: Facts, where: str) -> None:
        """LimitPassed that names every limit that is passed, with what was seen."""
        pairs = {name: (getattr(facts, name), limit) for name, limit in asdict(self).items() if limit is not None}
        passed = [
            _told(name, seen, limit) for name, (seen, limit) in pairs.items() if seen is not None and seen > limit
        ]
        if passed:
            raise LimitPassed(
                f"{where} is not published: {'; '.join(passed)}. Look at the inputs; the parts are kept, and the same "
                "job with other limits goes on from them.",
                facts,
            )


class LimitPassed(DataError):
    """A job has met more of something than it may."""

    def __init__(self, message: str, facts: Facts | None = None) -> None:
        super().__init__(message)
        self.facts = facts


def _told(name: str, seen: float, limit: float) -> str:
    if name in SHARES:
        return f"{seen:.2%} {SHARES[name]} (fail_if.{name}: {limit:.2%})"
    return f"{seen:.3f} {DISTANCES[name]} (fail_if.{name}: {limit:g})"
