"""Tests of training in several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from mlflow import MlflowClient

import recattn as ra
from recattn.batching.batch import WindowBatch
from recattn.batching.loaders import WindowBatches, whole_batches
from recattn.dataset.synthetic import make_world
from recattn.training import DataModule

SETTINGS = {
    "model": {"dim": 8, "num_layers": 1, "max_history": 20, "dropout": 0.0},
    "train": {
        "batch_size": 10,
        "seed": 3,
        "precision": "float32",
        "valid_requests": None,
        "schedule": "constant",
        "warmup_steps": 0,
        "patience": 1,
    },
}

SCRIPT = """
import json, sys, warnings
import lightning as L, torch
import recattn as ra
from recattn.dataset.synthetic import make_world
from recattn.errors import ConfigError
from recattn.nn.transition_memory import UNVALIDATED

uri, settings = sys.argv[1], json.loads(sys.argv[2])
world = make_world(n_users=61, seed=0)
split = ra.split_by_time(world.interactions, q=0.8)

def fit(train=split.train, valid=split.valid, epochs=2, changes={}, **named):
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=epochs, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )
    model = ra.Recommender(ra.ModelConfig(**settings["model"]), ra.TrainConfig(**settings["train"] | changes))
    return model.fit(train, valid=valid, trainer=trainer, **named), trainer

def weights(model):
    return {name: value.double().sum().item() for name, value in model.scorer.state_dict().items()}

with ra.track("ddp", tracking_uri=uri) as run:
    model, trainer = fit(observers=[run], checkpoint_dir="whole")
rank = trainer.global_rank
told = {"weights": weights(model), "curve": model.curve, "best": model.best_epoch, "run": run.id}
torch.save(torch.load("whole/last.ckpt", weights_only=True)["state_dict"], f"last-{rank}.pt")

fit(epochs=1, checkpoint_dir="parts")
resumed, _ = fit(epochs=2, checkpoint_dir="parts", resume=True)
told["resumed"] = {"weights": weights(resumed), "curve": resumed.curve, "best": resumed.best_epoch}

few = split.valid[split.valid["user_id"].isin(split.valid["user_id"].unique()[:2])]
stopped, _ = fit(valid=few, epochs=6, changes={"learning_rate": 1e-12, "valid_target": "last"})
told["few"] = {"weights": weights(stopped), "curve": stopped.curve, "best": stopped.best_epoch}

two = split.train[split.train["user_id"].isin(split.train["user_id"].unique()[:1])]
told["one_window"] = [epoch["train/loss"] for epoch in fit(two, None, 1)[0].curve]

model.scorer.memory.weights.copy_(torch.tensor(UNVALIDATED))  # those that the epochs were judged with
asked = split.requests("valid", "successive")
found = model.recommend(asked, history=split.history("valid"), k=10)
report = ra.evaluate(found, split.truth("valid", "successive"), [ra.NDCG(10)], seen="drop")
told |= {"ndcg": report.summary["ndcg_at_10"], "requests": len(asked)}
try:
    fit(split.train[rank:])
except ConfigError as error:
    told["error"] = str(error)
with open(f"told-{rank}.json", "w") as file:
    json.dump(told, file)
"""


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ddp")


@pytest.fixture(scope="module")
def told(folder: Path, tracking_uri: str) -> dict[int, Any]:
    """What each of two processes has after its fits."""
    script = folder / "fit.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    for name in ("MASTER_PORT", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(script), tracking_uri, json.dumps(SETTINGS)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {rank: json.loads((folder / f"told-{rank}.json").read_text()) for rank in range(2)}


class InTurn(WindowBatches):
    """The batches of two ranks one after the other: 0, 1, 0, 1, ..."""

    def __init__(self, first: WindowBatches, second: WindowBatches) -> None:
        self.ranks, self.world_size = (first, second), 1

    def set_epoch(self, epoch: int) -> None:
        for rank in self.ranks:
            rank.set_epoch(epoch)

    def __len__(self) -> int:
        return sum(map(len, self.ranks))

    def spare(self, step: int) -> bool:
        return self.ranks[step % 2].spare(step // 2)

    def __getitem__(self, step: int) -> WindowBatch:
        return self.ranks[step % 2][step // 2]


def test_two_processes_train_as_one_that_has_the_batches_of_both(
    told: dict[int, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    def in_turn(module: DataModule) -> Any:
        ranks = (
            WindowBatches(
                module.assembler, module.windows, module.train_config, module.sampler, rank=rank, world_size=2
            )
            for rank in range(2)
        )
        return whole_batches(InTurn(*ranks))

    monkeypatch.setattr(DataModule, "train_dataloader", in_turn)
    split = ra.split_by_time(make_world(n_users=61, seed=0).interactions, q=0.8)
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=2,
        accumulate_grad_batches=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    model = ra.Recommender(ra.ModelConfig(**SETTINGS["model"]), ra.TrainConfig(**SETTINGS["train"]))
    model.fit(split.train, valid=split.valid, trainer=trainer, checkpoint_dir=folder / "alone")
    for theirs, alone in zip(told[0]["curve"], model.curve, strict=True):
        assert theirs == pytest.approx(alone, rel=1e-5)
    mine = torch.load(folder / "alone" / "last.ckpt", weights_only=True)["state_dict"]
    for rank in range(2):
        for name, value in torch.load(folder / f"last-{rank}.pt", weights_only=True).items():
            torch.testing.assert_close(value, mine[name], rtol=1e-4, atol=1e-5, msg=name)


def test_all_processes_end_with_the_same_weights(told: dict[int, Any]) -> None:
    assert told[0]["weights"] == told[1]["weights"]
    assert told[0]["best"] == told[1]["best"]
    assert any(name == "memory.weights" for name in told[0]["weights"])


def test_metrics_are_those_of_all_requests_whatever_each_process_had(told: dict[int, Any]) -> None:
    assert told[0]["requests"] % 20, "shares are equal: the test shows little"
    best = next(epoch for epoch in told[0]["curve"] if epoch["epoch"] == told[0]["best"])
    assert best["valid/ndcg_at_10"] == pytest.approx(told[0]["ndcg"], abs=1e-9)
    assert told[0]["curve"] == told[1]["curve"]


def test_processes_resume_as_if_undisturbed(told: dict[int, Any]) -> None:
    for rank in range(2):
        assert told[rank]["resumed"] == {name: told[0][name] for name in ("weights", "curve", "best")}


def test_a_process_without_requests_waits_for_none_and_all_stop_early_together(told: dict[int, Any]) -> None:
    few = told[0]["few"]
    assert len(few["curve"]) == 2
    assert all(0 <= epoch["valid/ndcg_at_10"] <= 1 for epoch in few["curve"])
    assert told[1]["few"] == few


def test_a_process_without_windows_learns_with_the_others(told: dict[int, Any]) -> None:
    (loss,) = told[0]["one_window"]
    assert loss > 0
    assert told[1]["one_window"] == [loss]


def test_processes_with_other_data_are_told_so_instead_of_waiting(told: dict[int, Any]) -> None:
    for rank in range(2):
        assert told[rank]["error"].startswith(
            "process 1 of the 2 of this fit has other interactions, validation than process 0."
        )


def test_one_process_keeps_one_run_without_doubles(told: dict[int, Any], tracking_uri: str) -> None:
    client = MlflowClient(tracking_uri)
    (run,) = client.search_runs([client.get_experiment_by_name("ddp").experiment_id])
    assert (told[0]["run"], told[1]["run"]) == (run.info.run_id, "")
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/loss")] == [0, 1]
    assert len(run.inputs.dataset_inputs) == 2
