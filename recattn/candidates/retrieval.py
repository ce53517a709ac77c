"""What the model's own retrieval score puts first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked
from recattn.candidates.base import Job
from recattn.candidates.frames import candidates_frame
from recattn.dataset.doors import History, history_store
from recattn.errors import ConfigError
from recattn.inference.doors import make_assembler
from recattn.recommender import Recommender
from recattn.schema import check_k


@dataclass(frozen=True)
class Retrieval:
    """The catalog by a model's retrieval score.

    Attributes:
        model: Fitted; None in a two-stage job is the model that ranks.
        users: Attributes of users, for models that use them: a frame or a file.
        exclude_seen: Whether items of the visible history are left out. In a two-stage job its `exclude_seen` decides.
        device: Where to score; None: where the model is.
        threads: Torch threads on the CPU.
    """

    model: Recommender | None = None
    users: Any = None
    exclude_seen: bool = True
    device: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.model is not None and not isinstance(self.model, Recommender):
            raise ConfigError(f"Retrieval.model must be a Recommender, got {self.model!r}.")

    def bound(self, job: Job) -> Retrieval:
        """Itself with the job's model, where it has none."""
        return replace(self, model=self.model or job.model, exclude_seen=job.exclude_seen)

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request, highest score first; fewer where the catalog has fewer."""
        check_k(k)
        if self.model is None:
            raise ConfigError("Retrieval has no model. Pass Retrieval(model).")
        plan = self.model._fitted().blueprint
        store = history_store(history, plan.table.vocabulary, plan.config.time, behaviours=plan.behaviours)
        asked = Asked.of(requests, history=store, as_of=as_of, ties=plan.config.ties)
        codes, scores = self.model._predictor(self.device, self.threads).top_k(
            make_assembler(plan, store, self.users),
            asked.requests,
            k,
            exclude_seen=self.exclude_seen,
            stage="retrieval",
        )
        places, columns = np.nonzero((codes > 0) & (scores > -np.inf))
        items = plan.table.vocabulary.decode(codes[places, columns])
        return candidates_frame(asked, places, items, "retrieval", columns + 1)
