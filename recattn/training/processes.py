"""What the processes of one fit must have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import distributed

from recattn.errors import ConfigError


class Agreement(Callback):
    """Stops all processes where one has something else than the first: they would wait for each other, or mix weights.

    Args:
        facts: What must be equal, JSON values by name.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = dict(facts)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if not distributed.is_initialized():
            return
        every: list[Any] = [None] * trainer.world_size
        distributed.all_gather_object(every, self.facts)
        for rank, facts in enumerate(every):
            other = [name for name, value in every[0].items() if facts.get(name) != value]
            if other:
                raise ConfigError(
                    f"process {rank} of the {trainer.world_size} of this fit has other {', '.join(other)} than process "
                    "0. Give all processes the same settings, the same data in the same order, and a checkpoint folder "
                    "they all see."
                )
