"""From a trial to a fitted recommender, whatever kind of model it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import recattn as ra
from pipelines.benchmark import ours, peers
from pipelines.benchmark.clock import EpochClock
from pipelines.benchmark.models import Model
from pipelines.benchmark.protocols import Asked, Task
from pipelines.benchmark.refits import Refit
from pipelines.benchmark.trials import Trial
from recattn.config import to_dict
from recattn.dataset.split import Part
from recattn.inference.artifact import FORMAT
from recattn.schema import columns as c

LISTED = 20  # items a request: the longest k of the metrics
MONITOR = "valid/ndcg_at_10"  # of an epoch, where it was validated


@dataclass(frozen=True)
class Fitted:
    """What a fit gave."""

    recommend: Callable[[Asked], pd.DataFrame]  # at most LISTED items a request, seen ones left out
    catalog: pd.Index
    seconds: float  # of training, over all processes that took part
    about: Mapping[str, Any] = field(default_factory=dict)


def unsuited(model: Model, task: Task) -> str | None:
    """Why the model cannot be run on the task, or None."""
    data = task.data
    if not task.protocol.fits(data):
        return f"{data.name} is order-only: there is no time split"
    if model.needs == "times" and data.time == "order":
        return f"{data.name} is order-only: there is no window of time"
    if model.needs == "events" and c.EVENT not in data.log:
        return f"{data.name} has one kind of behaviour"
    if model.features and (data.items is None or not data.source.item_features):
        return f"{data.name} has no attributes of items"
    return None


def resolved(trial: Trial, task: Task, seed: int, refit: Refit | None = None) -> dict[str, Any]:
    """All settings, those left at their defaults among them; with `refit` those it is fitted with."""
    if trial.model.kind == "peer":
        settings = {**peers.defaults(trial.model.name), **trial.settings, "seed": seed}
        return settings if refit is None else peers.refitted(settings, refit.epochs)
    if trial.model.kind == "recattn":
        parts = zip(("model", "train"), ours.configs(trial, task, seed, refit), strict=True)
        return {f"{part}.{name}": value for part, config in parts for name, value in to_dict(config).items()}
    return dataclasses.asdict(_baseline(trial))


def versions(model: Model) -> dict[str, Any]:
    """Of the code that decides the outcome."""
    if model.kind == "peer":
        return peers.versions(model.name)
    return {"recattn": ra.__version__} | ({"format": FORMAT} if model.kind == "recattn" else {})


def fit(trial: Trial, task: Task, seed: int, folder: Path, *, peers_folder: Path, refit: Refit | None = None) -> Fitted:
    """Train, go on where a killed process stopped, or read the trained model that lies in `folder`.

    On train with validation beside it, or with `refit` on what models are fitted on that are judged on test.
    """
    if trial.model.kind == "peer":
        return _peer(trial, task, seed, folder, peers_folder, refit)
    if trial.model.kind == "recattn":
        return _ours(trial, task, seed, folder, refit)
    part = _part(refit)
    train = task.fitted_on(part)
    begin = time.perf_counter()
    fitted = _baseline(trial).fit(train, time=task.split.time, ties=task.split.ties)
    seconds = time.perf_counter() - begin

    def recommend(asked: Asked) -> pd.DataFrame:
        return fitted.recommend(asked.requests, history=asked.history, k=LISTED)

    return Fitted(recommend, task.catalog(part), seconds)


def _part(refit: Refit | None) -> Part:
    """The part whose models are fitted."""
    return "valid" if refit is None else "test"


def _baseline(trial: Trial) -> Any:
    return getattr(ra, trial.model.kind)(**trial.settings)


def _ours(trial: Trial, task: Task, seed: int, folder: Path, refit: Refit | None) -> Fitted:
    import torch

    device = "cuda" if torch.cuda.is_available() else None
    clock = EpochClock(folder / "epochs.jsonl")
    recommender = ours.trained(trial, task, seed, folder, clock=clock, refit=refit)
    users = ours.attributes(trial.model, task)[1]

    def recommend(asked: Asked) -> pd.DataFrame:
        return recommender.recommend(
            asked.requests, history=asked.history, user_features=users, k=LISTED, device=device
        )

    curve = clock.curve()
    validated = [epoch for epoch in curve if MONITOR in epoch]
    about = {
        "curve": curve,
        "epochs": len(curve),
        "best_epoch": max(validated, key=lambda epoch: epoch[MONITOR])["epoch"] if validated else None,
        "memory_weights": ours.memory_weights(recommender),
        "parameters": sum(weight.numel() for weight in recommender.scorer.parameters()),
        "device": device or "cpu",
    }
    return Fitted(recommend, pd.Index(recommender.items.vocabulary.ids), clock.seconds, about)


def _peer(trial: Trial, task: Task, seed: int, folder: Path, peers_folder: Path, refit: Refit | None) -> Fitted:
    part = _part(refit)
    train, valid = task.fitted_on(part), task.split.valid
    settings = resolved(trial, task, seed, refit)
    peer = peers.Peer(
        trial.model.name, peers_folder, folder, settings, train, valid if refit is None else valid.iloc[:0]
    )
    about = peer.fit()

    def recommend(asked: Asked) -> pd.DataFrame:
        return peer.recommend(asked, LISTED)

    return Fitted(recommend, task.catalog(part), about.pop("seconds"), about)
