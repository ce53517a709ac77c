"""One measured process of ours: `python -m pipelines.benchmark.speed_ours spec.json out.json`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import Callback

from pipelines.benchmark.speed_process import EpochClock, measured, ndcg_at_10
from pipelines.benchmark.speed_rows import Row
from recattn.batching.assemble import Assembler
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_requests
from recattn.dataset.tables import ItemTable
from recattn.inference.predictor import Predictor
from recattn.schema import read_interactions
from recattn.training import FitData, LitScorer, Specs, fit_scorer, prepare_fit
from recattn.training.trainer import make_trainer


class Clock(EpochClock, Callback):
    """The clock in our Lightning."""


class Quality(Callback):
    """NDCG@10 on each user's held-out item after every epoch, the whole catalog ranked; stops at a target."""

    def __init__(self, data: FitData, train: pd.DataFrame, valid: pd.DataFrame, target: float | None) -> None:
        self.table: ItemTable = data.blueprint.table
        vocabulary, config = self.table.vocabulary, data.blueprint.config
        store = HistoryStore.from_frame(train, vocabulary, time=config.time)
        self.assembler = Assembler(store, config)
        self.requests: Requests = make_requests(store, valid["user_id"], ties=config.ties)
        self.truth = vocabulary.encode(valid["item_id"])
        self.target, self.curve = target, list[float]()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LitScorer)
        best, _ = Predictor(pl_module.scorer, self.table).top_k(self.assembler, self.requests, 10)
        self.curve.append(ndcg_at_10(best, np.where(self.truth > 0, self.truth, -1)))
        trainer.should_stop = self.target is not None and self.curve[-1] >= self.target


def measure(spec: dict[str, Any]) -> dict[str, Any]:
    """Epochs of one row, after a warm-up of a few steps on a model that is thrown away."""
    row = Row(**spec["row"])
    config, settings = row.configs(spec["seed"], spec["epochs"])
    begin = time.perf_counter()
    whole = read_interactions(spec["train"], time="order")
    data = prepare_fit(recent(whole, row.last), None, None, None, Specs(), config, settings)
    prepared = time.perf_counter() - begin
    clock = Clock()
    callbacks: list[Callback] = [clock]  # the clock stops before quality is looked at
    if spec["valid"]:
        callbacks.append(Quality(data, whole, read_interactions(spec["valid"], time="order"), spec["target"]))
    with tempfile.TemporaryDirectory() as folder:
        warm = make_trainer(settings, Path(folder))
        warm.limit_train_batches, warm.fit_loop.max_epochs = spec["warm_up"], 1
        fit_scorer(data, trainer=warm)
        trainer = make_trainer(settings, Path(folder))
        trainer.callbacks.extend(callbacks)
        result = fit_scorer(data, trainer=trainer)
    store = data.assembler.store
    return {
        "epoch_seconds": clock.seconds,
        "targets": len(store),
        "users": len(store.users),
        "items": len(data.blueprint.table) - 1,
        "steps": trainer.global_step // len(clock.seconds),
        "prepare_seconds": prepared,
        "train_loss": [epoch["train/loss"] for epoch in result.curve],
        "ndcg_at_10": callbacks[1].curve if len(callbacks) > 1 else [],
        "versions": {"lightning": L.__version__},
    }


def recent(frame: pd.DataFrame, last: int | None) -> pd.DataFrame:
    """The last interactions of each user; the frame must be in each user's order."""
    return frame if last is None else frame.groupby("user_id", sort=False).tail(last).reset_index(drop=True)


if __name__ == "__main__":
    measured(measure)
