"""How a model is fitted again, on train and validation, before it is judged on test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.benchmark.cells import OUTCOME
from pipelines.benchmark.protocols import Task
from pipelines.benchmark.trials import Trial

PLACE = "refits"  # folder of scratch


@dataclass(frozen=True)
class Refit:
    """What validation has decided: a refit has nothing to decide by."""

    epochs: int | None = None  # None for what is not trained in epochs
    memory_weights: tuple[float, ...] | None = None  # of the transition memory; None where there is none

    @classmethod
    def of(cls, validated: Mapping[str, Any], trial: Trial) -> Refit:
        """From the finished validation cell of the same trial and seed; all epochs where it had no best one."""
        if not trial.model.trained:
            return cls()
        resolved, best, weights = validated["resolved"], validated["best_epoch"], validated.get("memory_weights")
        most = resolved["max_epochs" if trial.model.kind == "peer" else "train.max_epochs"]
        return cls(most if best is None else best + 1, None if weights is None else tuple(weights))

    @property
    def decides(self) -> dict[str, Any]:
        """Plain values, for a key."""
        return asdict(self)


def folder_name(trial: Trial, task: Task, resolved: Mapping[str, Any], versions: Mapping[str, Any]) -> str:
    """A digest of exactly what a refit's training depends on: protocols that only ask otherwise share one.

    Args:
        trial: Whose model it is.
        task: Its data and cut.
        resolved: All settings of the refit, its seed and number of epochs among them.
        versions: Of the code.
    """
    model = trial.model
    what = [OUTCOME, model.name if model.kind == "peer" else model.kind, model.features, model.shuffled]
    what += [task.data.digest, task.protocol.cut, task.protocol.ties, sorted(versions.items())]
    return hashlib.sha256(json.dumps([*what, sorted(resolved.items())]).encode()).hexdigest()[:16]
