"""What a fit of the shared world needs, without a Recommender."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import pandas as pd
import pytest

from recattn.training.prepare import FitData, Specs, prepare_fit


class Witness:
    """An observer that writes down what it is told."""

    def __init__(self, state: dict[str, str] | None = None) -> None:
        self.calls: list[str] = []
        self.values: dict[str, Any] = {}
        self.epochs: list[tuple[int, dict[str, float]]] = []
        self.datasets: dict[str, tuple[pd.DataFrame, str]] = {}
        self.artifacts: dict[str, Any] = {}
        self.errors: list[BaseException] = []
        self._state = state or {}

    def params(self, values: Any) -> None:
        self.calls.append("params")
        self.values |= values

    def metrics(self, values: Any, *, step: int) -> None:
        self.calls.append("metrics")
        self.epochs.append((step, dict(values)))

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training") -> None:
        self.calls.append("dataset")
        self.datasets[name] = (frame, context)

    def artifact(self, path: str, value: object) -> None:
        self.calls.append("artifact")
        self.artifacts[path] = value

    def state(self) -> dict[str, str]:
        return self._state

    def failed(self, error: BaseException) -> None:
        self.calls.append("failed")
        self.errors.append(error)


@pytest.fixture(scope="session")
def new_witness() -> Callable[..., Witness]:
    """`new_witness(state)`: an observer."""
    return Witness


@pytest.fixture(scope="session")
def prepared(
    world: Any, small_model: Callable[..., Any], small_train: Callable[..., Any], one_thread: None
) -> Callable[..., FitData]:
    """`prepared(valid=True, seed=4, score="retrieval")`: the shared world, ready for a fit; settings by name."""

    def prepare(*, valid: bool = False, features: Specs | None = None, **settings: Any) -> FitData:
        model_names = type(small_model()).__dataclass_fields__
        model = {name: settings.pop(name) for name in list(settings) if name in model_names}
        return prepare_fit(
            world.train,
            world.valid if valid else None,
            None if features is None else world.items,
            None if features is None else world.users,
            features or Specs(),
            small_model(**model),
            small_train(**settings),
        )

    return prepare


@pytest.fixture(scope="session")
def quiet_trainer() -> Callable[..., L.Trainer]:
    """`quiet_trainer(max_epochs=1)`: a trainer of the caller's own, on the CPU."""

    def make(**named: Any) -> L.Trainer:
        quiet = {
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
        }
        return L.Trainer(**(quiet | named))

    return make
