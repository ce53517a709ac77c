"""A tiny world, split, with settings that train in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recattn.config import ModelConfig, TrainConfig
from recattn.dataset import Split, split_by_time
from recattn.dataset.synthetic import make_world
from recattn.tuning import TuneResult, tune

SPACE: dict[str, Any] = {
    "model.dim": {"choices": [4, 8]},
    "train.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
}
MODEL = ModelConfig(num_layers=1, max_history=8)
TRAIN = TrainConfig(max_epochs=1, seed=7)


@pytest.fixture(scope="session")
def split() -> Split:
    return split_by_time(make_world(40, 30, mean_interactions=10, seed=1).interactions)


@pytest.fixture(scope="session")
def ask(split: Split) -> Any:
    """`tune` on the tiny world; keywords in place of those of here."""

    def asked(folder: Path, space: dict[str, Any] | None = None, **more: Any) -> TuneResult:
        settings = {"model": MODEL, "settings": TRAIN, "trials": 3, "threads": 1, "storage": folder / "study.db"}
        return tune(split.train, split.valid, space or SPACE, **{**settings, **more})

    return asked
