"""A generated world as a folder of data sets, with places for results."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.benchmark.datasets import load
from pipelines.benchmark.protocols import Task, protocol
from pipelines.benchmark.run import Places
from recattn.dataset.synthetic import make_world


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`world` with real times, `ordered` without."""
    root = tmp_path_factory.mktemp("data")
    log = make_world(60, 40, mean_interactions=10, days=60, seed=4).interactions[["user_id", "item_id", "timestamp"]]
    log = log.sort_values(["user_id", "timestamp"], ignore_index=True)
    ordered = log.assign(timestamp=log.groupby("user_id").cumcount())
    for name, frame in (("world", log), ("ordered", ordered)):
        (root / name).mkdir()
        frame.to_parquet(root / name / "interactions.parquet")
    return root


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Nothing is logged; all is kept below a temporary folder."""
    return Places(tmp_path / "results", tmp_path / "scratch", tmp_path / "peers", experiment=None)


@pytest.fixture(scope="session")
def task(data_root: Path) -> Task:
    """The last interactions after a global cut."""
    return Task(load("world", data_root), protocol("gts-last"))


@pytest.fixture
def arguments(data_root: Path, places: Places) -> list[str]:
    """Of the command, without data sets and models."""
    folders = [("results", places.results), ("scratch", places.scratch), ("peers", places.peers)]
    flags = [text for name, folder in folders for text in (f"--{name}", str(folder))]
    return ["--data_root", str(data_root), *flags, "--experiment", "null"]
