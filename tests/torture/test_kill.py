"""Kills at random moments of a real process, until the job is done; the bytes must be those of an undisturbed run.

Run it with `pytest -m torture tests/torture` (`make torture`); RECATTN_KILLS and RECATTN_SEED change it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.synthetic import make_world
from recattn.jobs import ScoreJob, open_output, run_job
from recattn.recommender import Recommender

pytestmark = pytest.mark.torture

KILLS = int(os.environ.get("RECATTN_KILLS", "20"))  # a case; there are three
SEED = int(os.environ.get("RECATTN_SEED", "0"))
ROWS = 40_000
OWN = {"run.json", ".lock"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """A model, a log and a slate."""
    folder = tmp_path_factory.mktemp("torture")
    log = make_world(300, 100, mean_interactions=12, seed=2).interactions
    config = ModelConfig(dim=8, num_heads=2, num_layers=1, deep_layers=1, score="deep", max_history=12)
    Recommender(config, TrainConfig(max_epochs=1, precision="float32")).fit(log).save(folder / "model")
    log.to_parquet(folder / "log.parquet")
    rng = np.random.default_rng(SEED)
    users, items = [*log["user_id"].unique(), "nobody"], [*log["item_id"].unique(), "gone"]
    slate = {"row": np.arange(ROWS), "user_id": rng.choice(users, ROWS), "item_id": rng.choice(items, ROWS)}
    pd.DataFrame(slate).to_parquet(folder / "slate.parquet", row_group_size=3_000)
    return folder


def contents(out: Path) -> dict[str, bytes]:
    names = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in OWN]
    return {str(path.relative_to(out)): path.read_bytes() for path in names}


@pytest.mark.parametrize(
    "changes",
    [
        {"slate": "slate.parquet", "grouping": "rows", "rows_a_part": 1_000},
        {"slate": "slate.parquet", "grouping": "requests", "rows_a_part": 1_000},
        {"k": 10, "rows_a_part": 5},
    ],
    ids=["rows", "requests", "catalog"],
)
def test_killed_at_random_moments_the_result_is_the_same(world: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    files = {name: str(world / file) for name, file in (("model", "model"), ("history", "log.parquet"))}
    if "slate" in changes:
        changes = changes | {"slate": str(world / changes["slate"])}
    rng, context = np.random.default_rng(SEED), multiprocessing.get_context("fork")
    since = time.perf_counter()
    run_job(ScoreJob(**files, out=str(tmp_path / "whole"), threads=1, **changes))
    length = time.perf_counter() - since
    wanted, kills, rounds, parts = contents(tmp_path / "whole"), 0, 0, []
    while kills < KILLS:
        rounds += 1
        out = tmp_path / f"out-{rounds}"
        job = ScoreJob(**files, out=str(out), threads=1, **changes)
        while True:
            process = context.Process(target=run_job, args=(job,))
            process.start()
            process.join(rng.uniform(0, length) if kills < KILLS else None)
            if process.exitcode is None:
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
                kills += 1
                parts.append(len(list((out / "parts").glob("*"))) if (out / "parts").exists() else 0)
                continue
            assert process.exitcode == 0
            break
        assert contents(out) == wanted
    assert open_output(str(out)).to_table().num_rows == open_output(str(tmp_path / "whole")).to_table().num_rows
    print(f"{kills} kills over {rounds} jobs of {length:.1f} s; parts on the disk at each: {parts}")
