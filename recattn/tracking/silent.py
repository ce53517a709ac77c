"""The run of processes that have nothing to say: all but the first of a distributed fit."""

from __future__ import annotations

import os

from recattn.tracking.run import Run

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """Whether this is the first (or only) process, by what torchrun, Lightning and Slurm set in the environment."""
    return all(os.environ.get(name, "0") in ("", "0") for name in _RANKS)


def _nothing(*_: object, **__: object) -> None:
    """Whatever is told."""


class SilentRun(Run):
    """A Run that writes nothing. Its `id` is empty, `log_model` gives None."""

    away = False

    def __init__(self) -> None:
        self.id = self.experiment_id = self.tracking_uri = ""
        self.status, self.beating = "FINISHED", False

    begin = params = metrics = artifact = dataset = cost = failed = tags = beat = finish = close = _nothing  # type: ignore[assignment]
    log = sample_recommendations = examples = log_model = _nothing  # type: ignore[assignment]

    def state(self) -> dict[str, str]:
        """Nothing: the first process keeps it."""
        return {}

    def flush(self, wait: float = 0.0) -> bool:
        """There is nothing to wait for."""
        return True
