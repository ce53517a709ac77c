"""Tests of fits that go on from a checkpoint."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from recattn.config import Numeric, to_dict
from recattn.errors import ArtifactError, ConfigError
from recattn.recommender import Recommender
from recattn.training import DataModule, FitResult, LitScorer, Specs, fit_scorer, prepare_fit

KILLED_IN_EPOCH_2 = """
import json, os, signal, sys
from pathlib import Path
import torch
from recattn import ModelConfig, Recommender, TrainConfig
from recattn.config import Categorical, Multi, Numeric
from recattn.training import LitScorer

torch.set_num_threads(1)
folder = Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())
step = LitScorer.training_step

def killed(self, batch, batch_idx):
    if self.current_epoch == 1 and batch_idx == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)

class Run:
    params = metrics = dataset = artifact = failed = lambda self, *args, **named: None
    state = lambda self: {"run_id": "0123abcd"}

LitScorer.training_step = killed
model = Recommender(
    ModelConfig(**settings["model"]),
    TrainConfig(**settings["train"]),
    item_features=[Categorical("kind"), Multi("tags"), Numeric("price")],
    user_features=[Categorical("plan"), Numeric("age")],
    context_features=[Categorical("device"), Numeric("hour")],
)
frames = {name: folder / f"{name}.parquet" for name in ("train", "valid", "items", "users")}
model.fit(**frames, checkpoint_dir=folder / "checkpoints", observers=[Run()])
"""


def weights(result: FitResult) -> dict[str, torch.Tensor]:
    return result.model.scorer.state_dict()


def same(first: FitResult, second: FitResult) -> bool:
    """Bit for bit."""
    return all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_a_fit_killed_in_the_middle_of_an_epoch_ends_as_if_undisturbed(
    world: Any,
    features: dict[str, Any],
    small_model: Callable[..., Any],
    small_train: Callable[..., Any],
    new_witness: Callable[..., Any],
    one_thread: None,
    tmp_path: Path,
) -> None:
    model, train = small_model(dropout=0.3, id_dropout=0.2), small_train(max_epochs=4, patience=0)
    settings = {"model": to_dict(model), "train": to_dict(train)}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    for name in ("train", "valid", "items", "users"):
        getattr(world, name).to_parquet(tmp_path / f"{name}.parquet")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_IN_EPOCH_2, str(tmp_path)], env=environment, capture_output=True, timeout=300
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    folder = tmp_path / "checkpoints"
    assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 0
    kept = (folder / "observers.json").read_bytes()

    def fit(**named: Any) -> Recommender:
        frames = {"items": world.items, "users": world.users, "valid": world.valid}
        return Recommender(model, train, **features).fit(world.train, **frames, **named)

    witness = new_witness(json.loads(kept))
    resumed = fit(checkpoint_dir=folder, resume=True, observers=[witness])
    undisturbed = fit()
    mine = undisturbed.scorer.state_dict()
    assert all(torch.equal(value, mine[name]) for name, value in resumed.scorer.state_dict().items())
    assert resumed.curve == undisturbed.curve
    assert resumed.best_epoch == undisturbed.best_epoch
    assert [step for step, values in witness.epochs if "train/loss" in values] == [1, 2, 3]
    assert (folder / "observers.json").read_bytes() == kept
    question: dict[str, Any] = {"history": world.log, "k": 5}
    pd.testing.assert_frame_equal(resumed.recommend(**question), undisturbed.recommend(**question))


def test_a_folder_with_a_fit_is_not_written_over(prepared: Callable[..., Any], tmp_path: Path) -> None:
    fit_scorer(prepared(), checkpoint_dir=tmp_path)
    with pytest.raises(
        ConfigError, match=r"holds the checkpoints of an earlier fit\. Pass resume=True .* another folder"
    ):
        fit_scorer(prepared(), checkpoint_dir=tmp_path)


@pytest.mark.parametrize(
    ("changes", "names"),
    [({"learning_rate": 0.5}, "train"), ({"dim": 4}, "model"), ({"features": True}, "interactions, features")],
)
def test_a_fit_of_other_settings_is_not_resumed(
    prepared: Callable[..., Any], tmp_path: Path, changes: dict[str, Any], names: str
) -> None:
    if "features" in changes:
        changes = {"features": Specs(items=(Numeric("price"),))}
    fit_scorer(prepared(), checkpoint_dir=tmp_path)
    with pytest.raises(ConfigError, match=f"cannot be resumed: {names} differ from when it began"):
        fit_scorer(prepared(**changes), checkpoint_dir=tmp_path, resume=True)


def test_a_fit_of_other_data_is_not_resumed(
    prepared: Callable[..., Any], world: Any, small_model: Any, small_train: Any, tmp_path: Path
) -> None:
    fit_scorer(prepared(), checkpoint_dir=tmp_path)
    other = prepare_fit(world.train[1:], None, None, None, Specs(), small_model(), small_train())
    with pytest.raises(ConfigError, match="cannot be resumed: interactions differ from when it began"):
        fit_scorer(other, checkpoint_dir=tmp_path, resume=True)


def test_resuming_where_nothing_began_starts_anew(prepared: Callable[..., Any], tmp_path: Path) -> None:
    assert same(fit_scorer(prepared()), fit_scorer(prepared(), checkpoint_dir=tmp_path / "new", resume=True))


def test_a_fit_resumed_with_more_epochs_ends_like_a_longer_one(prepared: Callable[..., Any], tmp_path: Path) -> None:
    long = {"valid": True, "patience": 0, "schedule": "constant"}  # a cosine knows its end
    fit_scorer(prepared(**long, max_epochs=2), checkpoint_dir=tmp_path)
    resumed = fit_scorer(prepared(**long, max_epochs=4), checkpoint_dir=tmp_path, resume=True)
    whole = fit_scorer(prepared(**long, max_epochs=4))
    assert same(resumed, whole)
    assert resumed.curve == whole.curve
    assert resumed.best_epoch == whole.best_epoch


@pytest.mark.parametrize("settings", [{"patience": 0}, {"max_epochs": 6, "learning_rate": 1e-12, "patience": 1}])
def test_resuming_a_finished_fit_changes_nothing(
    prepared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    first = fit_scorer(prepared(valid=True, **settings), checkpoint_dir=tmp_path)
    monkeypatch.setattr(LitScorer, "training_step", lambda *_: pytest.fail("it trains on"))
    again = fit_scorer(prepared(valid=True, **settings), checkpoint_dir=tmp_path, resume=True)
    assert same(first, again)
    assert (again.curve, again.best_epoch) == (first.curve, first.best_epoch)


def test_checkpoints_that_cannot_be_written_are_told_at_once(prepared: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"checkpoints cannot be written to .*folder: Not a directory"):
        fit_scorer(prepared(), checkpoint_dir=tmp_path / "file" / "folder")


def test_states_of_observers_are_kept_beside_the_checkpoints(
    prepared: Callable[..., Any], new_witness: Callable[..., Any], tmp_path: Path
) -> None:
    observers = [new_witness({"run_id": "a1"}), new_witness({"other": "b2"}), new_witness()]
    fit_scorer(prepared(max_epochs=1), checkpoint_dir=tmp_path, observers=observers)
    assert json.loads((tmp_path / "observers.json").read_text()) == {"run_id": "a1", "other": "b2"}


class Batches(Callback):
    """Writes down what is trained on: epoch, targets, negatives, positions of the head."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, list[int], list[int], list[int]]] = []

    def on_train_batch_start(self, trainer: L.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        drawn = (batch.targets, batch.candidates, batch.head_positions)
        self.seen.append((trainer.current_epoch, *(values.flatten().tolist() for values in drawn)))


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_has_batches_of_its_own_resumed_or_not(
    prepared: Callable[..., Any], quiet_trainer: Callable[..., L.Trainer], tmp_path: Path, workers: int
) -> None:
    def train(epochs: int, start: Path | None = None) -> list[Any]:
        data, batches = prepared(max_epochs=epochs), Batches()
        plan = data.blueprint
        keep = ModelCheckpoint(tmp_path, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
        trainer = quiet_trainer(max_epochs=epochs, callbacks=[batches, keep], enable_checkpointing=True)
        module = DataModule(data.assembler, plan.table, plan.train, num_workers=workers)
        trainer.fit(LitScorer(plan.build(), plan.train), datamodule=module, ckpt_path=start)
        return batches.seen

    whole = train(4)
    assert [epoch for epoch, *_ in whole] == sorted([0, 1, 2, 3] * 3)
    for drawn in range(1, 4):
        assert len({tuple(batch[drawn]) for batch in whole}) == 12
    assert train(2) == whole[:6]
    assert train(4, tmp_path / "last.ckpt") == whole[6:]


def test_a_disk_that_fills_up_leaves_the_last_checkpoint_whole(prepared: Callable[..., Any], tmp_path: Path) -> None:
    first = fit_scorer(prepared(max_epochs=1), checkpoint_dir=tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        with pytest.raises(ArtifactError, match=r"checkpoints cannot be written to .*: File too large"):
            fit_scorer(prepared(max_epochs=3), checkpoint_dir=tmp_path, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.json", "last.ckpt"]
    assert same(fit_scorer(prepared(max_epochs=1), checkpoint_dir=tmp_path, resume=True), first)
