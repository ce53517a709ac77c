"""A tiny world in files, a model trained on it, the command as a function."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from recattn.cli.main import main
from recattn.dataset.synthetic import World, make_world
from recattn.dataset.synthetic.sample import write_sample

TINY = ["--model.dim=8", "--model.num_layers=1", "--model.max_history=20", "--train.max_epochs=1"]


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str


Shell = Callable[..., Result]


def call(*arguments: object) -> Result:
    """Run a command with its streams caught."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Result(status, out.getvalue(), err.getvalue())


@pytest.fixture
def recattn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """`recattn("score", ...)`, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECATTN_DEBUG", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return call


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of `train` that make it quick."""
    return TINY


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(50, 40, mean_interactions=14, seed=1)


@pytest.fixture(scope="session")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with interactions, items, users and candidates of the world."""
    folder = tmp_path_factory.mktemp("world")
    write_sample(world, folder)
    return folder


@pytest.fixture(scope="session")
def model(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of that world."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    data = ["--interactions", files / "interactions.parquet", "--items", files / "items.parquet"]
    features = ["--item_features", "[{kind: multi, column: genres}]", "--baselines", "[]"]
    done = call("train", *data, *features, "--out", folder, *TINY, "--tracking.enabled=false")
    assert done.status == 0, done.err
    return folder
