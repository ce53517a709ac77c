"""The shared model in the form the rooms of inference know it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from recattn.batching.assemble import Assembler
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_requests, make_slate_requests
from recattn.dataset.tables import UserTable
from recattn.inference.artifact import load_model, save_model
from recattn.inference.model import Blueprint, FittedModel
from recattn.nn.scorer import Scorer

if TYPE_CHECKING:
    from recattn.recommender import Recommender


@dataclass(frozen=True)
class Bench:
    """A fitted model over the histories of one log."""

    model: FittedModel
    assembler: Assembler

    @property
    def plan(self) -> Blueprint:
        return self.model.blueprint

    @property
    def scorer(self) -> Scorer:
        return self.model.scorer

    @property
    def store(self) -> HistoryStore:
        return self.assembler.store

    def requests(self, users: Any = None, **named: Any) -> Requests:
        """Requests for the catalog."""
        return make_requests(self.store, users, **named)

    def slate(self, frame: pd.DataFrame) -> Requests:
        """Requests of a slate."""
        return make_slate_requests(self.store, frame)


@pytest.fixture(scope="session")
def model(rich: Recommender, tmp_path_factory: pytest.TempPathFactory) -> FittedModel:
    """The shared model with all features. Nobody changes it."""
    path = tmp_path_factory.mktemp("inference") / "model"
    rich.save(path)
    return load_model(path)


@pytest.fixture(scope="session")
def build_bench(model: FittedModel, world: Any) -> Callable[..., Bench]:
    """`build_bench(log)`: the shared model over another log."""

    def build(log: pd.DataFrame) -> Bench:
        plan = model.blueprint
        store = HistoryStore.from_frame(log, plan.table.vocabulary, behaviours=plan.behaviours)
        return Bench(model, Assembler(store, plan.config, UserTable.build(world.users, plan.users), plan.context))

    return build


@pytest.fixture(scope="session")
def bench(build_bench: Callable[..., Bench], world: Any) -> Bench:
    """The shared model over the shared log."""
    return build_bench(world.log)


@pytest.fixture(scope="session")
def saved(model: FittedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared model as a folder. Nobody changes it."""
    path = tmp_path_factory.mktemp("saved") / "model"
    save_model(model, path)
    return path


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))
