"""The faces of the parts of a two-stage job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked
from recattn.dataset.doors import History
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError


@runtime_checkable
class CandidateGenerator(Protocol):
    """Finds what is worth scoring."""

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request: `[request_id,] user_id, item_id, source, source_rank`, best first.

        Args:
            requests: `user_id`, where known `request_id`, `timestamp` (the moment), `position` and context columns;
                without `request_id` each user once.
            history: Interactions; a request sees those before its moment.
            k: How many items a request.
            as_of: The moment of requests that name none; just after the end of the history by default.
        """
        ...


@runtime_checkable
class CandidateFilter(Protocol):
    """Says which candidates may stay."""

    def keep(self, candidates: pd.DataFrame, asked: Asked) -> np.ndarray:
        """bool [n], a value a row of `candidates`, whose rows are all of requests in `asked`."""
        ...


@runtime_checkable
class PostProcessor(Protocol):
    """Makes another list of the same recommendations."""

    def apply(self, frame: pd.DataFrame, k: int | None = None) -> pd.DataFrame:
        """A frame of rows of `frame` with `rank` anew: the best `k` a request, or as many as there are."""
        ...


@dataclass(frozen=True, eq=False)
class Job:
    """What the parts of one job are bound to before its first request."""

    asked: Asked  # all requests of the job
    catalog: Vocabulary | None = None  # items that can be scored
    model: Any = None  # the Recommender that ranks
    exclude_seen: bool = True


def bound(part: Any, job: Job) -> Any:
    """`part` with what it learns, opens or borrows from the model for this job, where it has a `bound` of its own."""
    return part.bound(job) if hasattr(part, "bound") else part


def check_part(part: object, face: type, what: str) -> None:
    """ConfigError unless `part` has the method of `face`."""
    if isinstance(part, type) or not isinstance(part, face):
        [method] = [name for name in vars(face) if name in ("candidates", "keep", "apply")]
        raise ConfigError(f"{what} must be an object with a method {method!r} ({face.__name__}), got {part!r}.")


def check_parts(parts: object, face: type, what: str) -> None:
    """ConfigError unless `parts` is a list of objects with the method of `face`."""
    if not isinstance(parts, list | tuple):
        raise ConfigError(f"{what} must be a list, got {parts!r}. Pass [{parts!r}].")
    for place, part in enumerate(parts):
        check_part(part, face, f"{what}[{place}]")
