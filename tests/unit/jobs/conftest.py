"""A tiny world in files, and jobs over it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.synthetic import make_world
from recattn.jobs import ScoreJob
from recattn.recommender import Recommender

ROWS = 900


@dataclass(frozen=True)
class Files:
    """Where the world lies."""

    folder: Path
    model: Recommender
    log: pd.DataFrame
    slate: pd.DataFrame

    def settings(self, out: Path, **changes: Any) -> dict[str, Any]:
        """Settings of a job, of parts of 200 rows unless told otherwise."""
        given = {name: str(self.folder / file) for name, file in (("model", "model"), ("history", "log.parquet"))}
        if "k" not in changes:
            given["slate"] = str(self.folder / "slate.parquet")
        return given | {"out": str(out), "threads": 1, "rows_a_part": 200, "grouping": "rows"} | changes

    def job(self, out: Path, **changes: Any) -> ScoreJob:
        """A job with these settings."""
        return ScoreJob(**self.settings(out, **changes))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, one_thread: None, stir: Callable[..., None]) -> Files:
    """A model, a log, and a slate in any order with unknown users, unknown items and two further columns."""
    folder = tmp_path_factory.mktemp("jobs")
    log = make_world(40, 30, mean_interactions=10, seed=1).interactions
    config = ModelConfig(
        dim=8, num_heads=2, num_layers=1, deep_layers=1, score="deep", attention="both", max_history=12
    )
    model = Recommender(config, TrainConfig(max_epochs=1, batch_size=16, precision="float32")).fit(log)
    stir(model)
    model.save(folder / "model")
    log.to_parquet(folder / "log.parquet")
    rng = np.random.default_rng(0)
    slate = pd.DataFrame(
        {
            "user_id": rng.choice([*log["user_id"].unique(), "nobody"], ROWS),
            "item_id": rng.choice([*log["item_id"].unique(), "gone"], ROWS),
            "price": rng.normal(size=ROWS),
            "shelf": rng.choice(["a", "b", None], ROWS),
        }
    )
    slate.to_parquet(folder / "slate.parquet", row_group_size=130)
    return Files(folder, model, log, slate)


@pytest.fixture(scope="session")
def digest_of() -> Callable[[Path], dict[str, bytes]]:
    """`digest_of(out)`: the bytes of all that may be compared between two runs."""

    def read(out: Path) -> dict[str, bytes]:
        names = [path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file()]
        return {str(name): (out / name).read_bytes() for name in names if name.name not in ("run.json", ".lock")}

    return read


@pytest.fixture(scope="session")
def make_spark() -> Callable[..., Any]:
    """`make_spark("local[2]", {name: value})`: a Spark session on this machine alone, without a UI."""

    def run(master: str, more: dict[str, str]) -> Any:
        from pyspark.sql import SparkSession

        os.environ["PYSPARK_PYTHON"] = sys.executable
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executorEnv.OMP_NUM_THREADS": "1",
        }
        builder = SparkSession.builder.master(master)
        for name, value in (settings | more).items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        return session

    return run
