"""Tests of training in several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

SCRIPT = """
import json, sys
import lightning as L, torch
import recattn as ra
from recattn.dataset.synthetic import make_world
from recattn.nn.transition_memory import UNVALIDATED

world = make_world(n_users=61, seed=0)
split = ra.split_by_time(world.interactions, q=0.8)
model = ra.Recommender(
    ra.ModelConfig(dim=8, num_layers=1, max_history=20, dropout=0.0),
    ra.TrainConfig(batch_size=10, seed=3, precision="float32", valid_requests=None),
)
trainer = L.Trainer(
    accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, logger=False,
    enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
)
with ra.track("ddp", tracking_uri=sys.argv[1]) as run:
    model.fit(split.train, valid=split.valid, trainer=trainer, observers=[run])
weights = {name: value.double().sum().item() for name, value in model.scorer.state_dict().items()}
model.scorer.memory.weights.copy_(torch.tensor(UNVALIDATED))  # those that the epochs were judged with
asked = split.requests("valid", "successive")
found = model.recommend(asked, history=split.history("valid"), k=10)
report = ra.evaluate(found, split.truth("valid", "successive"), [ra.NDCG(10)], seen="drop")
told = {"weights": weights, "curve": model.curve, "best": model.best_epoch, "ndcg": report.summary["ndcg_at_10"]}
print("TOLD", trainer.global_rank, json.dumps(told | {"requests": len(asked), "run": run.id}), flush=True)
"""


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> dict[int, Any]:
    """What each of two processes has after one fit."""
    folder = tmp_path_factory.mktemp("ddp")
    script = folder / "fit.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    for name in ("MASTER_PORT", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(script), tracking_uri],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split(" ", 2) for line in done.stdout.splitlines() if line.startswith("TOLD")]
    return {int(rank): json.loads(text) for _, rank, text in lines}


def test_all_processes_end_with_the_same_weights(told: dict[int, Any]) -> None:
    assert sorted(told) == [0, 1]
    assert told[0]["weights"] == told[1]["weights"]
    assert told[0]["best"] == told[1]["best"]
    assert any(name == "memory.weights" for name in told[0]["weights"])


def test_metrics_are_those_of_all_requests_whatever_each_process_had(told: dict[int, Any]) -> None:
    assert told[0]["requests"] % 20, "shares are equal: the test shows little"
    best = next(epoch for epoch in told[0]["curve"] if epoch["epoch"] == told[0]["best"])
    assert best["valid/ndcg_at_10"] == pytest.approx(told[0]["ndcg"], abs=2e-6)
    assert told[0]["curve"] == told[1]["curve"]


def test_one_process_keeps_one_run_without_doubles(told: dict[int, Any], tracking_uri: str) -> None:
    client = MlflowClient(tracking_uri)
    (run,) = client.search_runs([client.get_experiment_by_name("ddp").experiment_id])
    assert (told[0]["run"], told[1]["run"]) == (run.info.run_id, "")
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/loss")] == [0, 1]
    assert len(run.inputs.dataset_inputs) == 2
