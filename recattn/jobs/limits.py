"""What a job may meet before it counts as failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from recattn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from recattn.dataset.profile import Profile

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

    def check(self, facts: Mapping[str, Any], where: str) -> None:
        """DataError that names every limit that is passed, with what was seen: `facts` by the names of `Facts`."""
        passed = []
        for name, limit in asdict(self).items():
            seen = facts.get(name)
            if limit is None or seen is None or seen <= limit:
                continue
            if name in SHARES:
                passed.append(f"{seen:.2%} {SHARES[name]} (fail_if.{name}: {limit:.2%})")
            else:
                passed.append(f"{seen:.3f} {DISTANCES[name]} (fail_if.{name}: {limit:g})")
        if passed:
            raise DataError(
                f"{where} is not published: {'; '.join(passed)}. Look at the inputs; the parts are kept, and the same "
                "job with other limits goes on from them."
            )
