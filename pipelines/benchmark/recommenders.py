"""From a trial to a fitted recommender, whatever kind of model it is."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import recattn as ra
from pipelines.benchmark import peers
from pipelines.benchmark.clock import EpochClock
from pipelines.benchmark.models import Model
from pipelines.benchmark.protocols import Asked, Task
from pipelines.benchmark.trials import Trial
from recattn.config import from_dict, to_dict
from recattn.inference.artifact import FORMAT
from recattn.schema import columns as c

LISTED = 20  # items a request: the longest k of the metrics


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


def resolved(trial: Trial, task: Task, seed: int) -> dict[str, Any]:
    """All settings, those left at their defaults among them."""
    if trial.model.kind == "peer":
        return {**peers.defaults(trial.model.name), **trial.settings, "seed": seed}
    if trial.model.kind == "recattn":
        parts = zip(("model", "train"), _configs(trial, task, seed), strict=True)
        return {f"{part}.{name}": value for part, config in parts for name, value in to_dict(config).items()}
    return dataclasses.asdict(_baseline(trial))


def versions(model: Model) -> dict[str, Any]:
    """Of the code that decides the outcome."""
    if model.kind == "peer":
        return peers.versions(model.name)
    return {"recattn": ra.__version__} | ({"format": FORMAT} if model.kind == "recattn" else {})


def fit(trial: Trial, task: Task, seed: int, folder: Path, *, peers_folder: Path) -> Fitted:
    """Train, go on where a killed process stopped, or read the trained model that lies in `folder`."""
    if trial.model.kind == "peer":
        return _peer(trial, task, seed, folder, peers_folder)
    if trial.model.kind == "recattn":
        return _ours(trial, task, seed, folder)
    begin = time.perf_counter()
    fitted = _baseline(trial).fit(task.split.train, time=task.split.time, ties=task.split.ties)
    seconds = time.perf_counter() - begin

    def recommend(asked: Asked) -> pd.DataFrame:
        return fitted.recommend(asked.requests, history=asked.history, k=LISTED)

    return Fitted(recommend, task.catalog, seconds)


def shuffled(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same users, moments and items, with each user's items in random order."""
    rng = np.random.default_rng(seed)
    users = pd.factorize(train[c.USER])[0]
    items = train[c.ITEM].to_numpy(copy=True)
    target = np.argsort(users, kind="stable")
    items[target] = items[np.lexsort((rng.random(len(train)), users))]
    return train.assign(item_id=items)


def _baseline(trial: Trial) -> Any:
    return getattr(ra, trial.model.kind)(**trial.settings)


def _configs(trial: Trial, task: Task, seed: int) -> tuple[ra.ModelConfig, ra.TrainConfig]:
    """The protocol decides on time, ties and the validation target; the seed on all that is random."""
    given: dict[str, dict[str, Any]] = {
        "model": {"time": task.data.time, "ties": task.protocol.ties},
        "train": {"valid_target": task.protocol.target, "seed": seed},
    }
    for name, value in trial.settings.items():
        part, _, own = name.partition(".")
        given.setdefault(part, {})[own] = value
    return from_dict(ra.ModelConfig, given["model"]), from_dict(ra.TrainConfig, given["train"])


def _ours(trial: Trial, task: Task, seed: int, folder: Path) -> Fitted:
    import torch

    device = "cuda" if torch.cuda.is_available() else None
    data, split, uses = task.data, task.split, trial.model.features
    items = data.items if uses else None
    users = data.users if uses and data.source.user_features else None
    clock, place = EpochClock(folder / "epochs.jsonl"), folder / "model"
    if place.exists():
        recommender = ra.Recommender.load(place)
    else:
        config, train = _configs(trial, task, seed)
        recommender = ra.Recommender(
            config,
            train,
            item_features=data.source.item_features if items is not None else (),
            user_features=data.source.user_features if users is not None else (),
        )
        recommender.fit(
            shuffled(split.train, seed) if trial.model.shuffled else split.train,
            items=items,
            users=users,
            valid=split.valid,
            observers=[clock],
            checkpoint_dir=folder / "checkpoints",
            resume=True,
        )
        recommender.save(place)
        shutil.rmtree(folder / "checkpoints")

    def recommend(asked: Asked) -> pd.DataFrame:
        return recommender.recommend(
            asked.requests, history=asked.history, user_features=users, k=LISTED, device=device
        )

    curve = clock.curve()
    best = max(curve, key=lambda epoch: epoch.get("valid/ndcg_at_10", 0.0), default={})
    parameters = sum(weight.numel() for weight in recommender.scorer.parameters())
    about = {"curve": curve, "epochs": len(curve), "best_epoch": best.get("epoch"), "parameters": parameters}
    catalog = pd.Index(recommender.items.vocabulary.ids)
    return Fitted(recommend, catalog, clock.seconds, about | {"device": device or "cpu"})


def _peer(trial: Trial, task: Task, seed: int, folder: Path, peers_folder: Path) -> Fitted:
    peer = peers.Peer(trial.model.name, peers_folder, folder, resolved(trial, task, seed))
    about = peer.fit(task)

    def recommend(asked: Asked) -> pd.DataFrame:
        return peer.recommend(task, asked, LISTED)

    return Fitted(recommend, task.catalog, about.pop("seconds"), about)
