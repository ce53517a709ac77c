"""Whole searches, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from recattn.config import TrainConfig, from_dict
from recattn.errors import ArtifactError, ConfigError, TrainingError
from recattn.tuning import TuneResult

COLUMNS = ["trial", "state", "value", "model.dim", "train.learning_rate"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def result(ask: Any, folder: Path) -> TuneResult:
    return ask(folder)


def test_the_best_of_the_trials_is_found(result: TuneResult) -> None:
    assert result.trials["state"].tolist() == ["complete"] * 3
    assert result.value == result.trials["value"].max() == result.best(1)["value"][0]
    assert (result.model.dim, result.train.learning_rate) == tuple(result.values.values())
    assert from_dict(TrainConfig, result.config()["train"]) == result.train
    assert len(result.figure().axes) == 1 + bool(result.importances)


def test_a_seed_gives_the_same_trials(ask: Any, result: TuneResult, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(ask(tmp_path).trials[COLUMNS], result.trials[COLUMNS])


def test_a_search_that_is_done_trains_no_more(ask: Any, result: TuneResult, folder: Path) -> None:
    begin = time.perf_counter()
    pd.testing.assert_frame_equal(ask(folder).trials, result.trials)
    assert time.perf_counter() - begin < 2
    assert {path.suffix for path in (folder / "study.work").iterdir()} <= {".log", ".json"}  # no data is left


def test_another_space_or_data_is_refused_with_what_changed(
    ask: Any, result: TuneResult, folder: Path, split: Any
) -> None:
    space = {"model.dim": {"choices": [4, 16]}, "train.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}
    with pytest.raises(
        ConfigError, match=r"space.model.dim was {'choices': \[4, 8\]}, is {'choices': \[4, 16\]}. Its trials"
    ):
        ask(folder, space)
    with pytest.raises(ConfigError, match=r"settings\.train\.max_epochs was 1, is 2"):
        ask(folder, settings=TrainConfig(max_epochs=2, seed=7))
    with pytest.raises(ConfigError, match=r"data\.items has changed"):
        ask(folder, items=pd.DataFrame({"item_id": split.train["item_id"].unique()}))


def test_two_workers_share_a_search(ask: Any, tmp_path: Path) -> None:
    found = ask(tmp_path, trials=4, workers=2)
    assert found.trials["state"].tolist() == ["complete"] * 4
    assert {path.name for path in (tmp_path / "study.work").glob("*.log")} == {"worker 1.log", "worker 2.log"}


def test_a_trial_below_the_median_is_pruned(ask: Any, tmp_path: Path) -> None:
    pruner = {"kind": "median", "startup_trials": 1, "warmup_epochs": 0}
    trials = ask(tmp_path, trials=4, pruner=pruner, settings=TrainConfig(max_epochs=3, seed=7)).trials
    pruned = trials[trials["state"] == "pruned"]
    assert 1 <= len(pruned) <= 3
    assert pruned["epochs"].min() == 1
    assert pruned["value"].max() < trials.loc[trials["state"] == "complete", "value"].max()


def test_trials_that_all_fail_are_told(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none of the 1 trials of .* ended well: TrainingError"):
        ask(tmp_path, {"train.learning_rate": {"choices": [1e30]}}, trials=1)


def test_a_storage_that_is_none_is_told(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database, and long enough to be seen as none" * 9)
    with pytest.raises(ArtifactError, match="cannot be used as an Optuna storage"):
        ask(tmp_path)
    with pytest.raises(ArtifactError, match="there is no folder"):
        ask(tmp_path / "nowhere")


KILLED = """
import sys
import pandas as pd
from pathlib import Path
from recattn.config import ModelConfig, TrainConfig
from recattn.tuning import tune
folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
tune(
    folder / "train.parquet", folder / "valid.parquet", {"model.dim": {"choices": [4, 8]}}, trials=3,
    storage=folder / "study.db", threads=1, model=ModelConfig(num_layers=1, max_history=8), pruner="none",
    settings=TrainConfig(max_epochs=epochs, patience=epochs, seed=7),
)
"""


def test_a_killed_search_goes_on_with_what_it_was_at(split: Any, tmp_path: Path) -> None:
    split.train.to_parquet(tmp_path / "train.parquet")
    split.valid.to_parquet(tmp_path / "valid.parquet")
    command = [sys.executable, "-c", KILLED, str(tmp_path), "3"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    states = _wait(tmp_path / "study.db", lambda found: found[:2] == ["COMPLETE", "RUNNING"])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert states == ["COMPLETE", "RUNNING"]
    first = _trials(tmp_path / "study.db")[0]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    trials = _trials(tmp_path / "study.db")
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials[0] == first
    assert (trials[2].user_attrs["retry_of"], trials[2].params) == (1, trials[1].params)
    assert np.isfinite([trials[0].value, trials[2].value, trials[3].value]).all()


def _trials(storage: Path) -> list[Any]:
    return optuna.load_study(study_name="recattn", storage=f"sqlite:///{storage}").trials


def _wait(storage: Path, reached: Any) -> list[str]:
    states: list[str] = []
    end = time.monotonic() + 120
    while not reached(states) and time.monotonic() < end:
        time.sleep(0.2)
        try:
            states = [trial.state.name for trial in _trials(storage)]
        except Exception:  # not made yet
            continue
    return states
