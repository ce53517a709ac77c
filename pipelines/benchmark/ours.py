"""Training of recattn's own models."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import recattn as ra
from pipelines.benchmark.clock import EpochClock
from pipelines.benchmark.models import Model
from pipelines.benchmark.protocols import Task
from pipelines.benchmark.refits import Refit
from pipelines.benchmark.trials import Trial
from recattn.config import from_dict
from recattn.schema import columns as c

VALIDATION = ("valid_target", "valid_requests", "valid_every", "patience")  # mean nothing where there is no validation


def configs(trial: Trial, task: Task, seed: int, refit: Refit | None = None) -> tuple[ra.ModelConfig, ra.TrainConfig]:
    """The protocol decides on time, ties and the validation target; the seed on all that is random.

    A refit has the epochs that validation has found best, and the defaults of what only validation uses.
    """
    given: dict[str, dict[str, Any]] = {
        "model": {"time": task.data.time, "ties": task.protocol.ties},
        "train": {"valid_target": task.protocol.target, "seed": seed},
    }
    for name, value in trial.settings.items():
        part, _, own = name.partition(".")
        given.setdefault(part, {})[own] = value
    model, train = from_dict(ra.ModelConfig, given["model"]), from_dict(ra.TrainConfig, given["train"])
    if refit is not None:
        assert refit.epochs is not None
        unused = {name: getattr(ra.TrainConfig(), name) for name in VALIDATION}
        train = replace(train, max_epochs=refit.epochs, **unused)
    return model, train


def trained(
    trial: Trial, task: Task, seed: int, folder: Path, *, clock: EpochClock, refit: Refit | None
) -> ra.Recommender:
    """Trained here, gone on with from the last epoch of a killed process, or read from `folder`.

    What lies in the folder of a refit goes without the memory's weights: they are set on what is read.
    """
    place = folder / "model"
    if not place.exists():
        split = task.split
        train = split.train if refit is None else task.fitted_on("test")
        valid = split.valid if refit is None else None
        recommender = _untrained(trial, task, seed, refit)
        items, users = attributes(trial.model, task)
        recommender.fit(
            shuffled(train, seed) if trial.model.shuffled else train,
            items=items,
            users=users,
            valid=valid,
            observers=[clock],
            checkpoint_dir=folder / "checkpoints",
            resume=True,
        )
        recommender.save(place)
        shutil.rmtree(folder / "checkpoints")
    else:
        recommender = ra.Recommender.load(place)
    if refit is not None and refit.memory_weights is not None:
        weigh(recommender, refit.memory_weights)
    return recommender


def attributes(model: Model, task: Task) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Those of items and of users, where the model uses them."""
    data = task.data
    if not model.features:
        return None, None
    return data.items, data.users if data.source.user_features else None


def memory_weights(recommender: ra.Recommender) -> list[float] | None:
    """Of the transition memory, by table; None where there is none."""
    memory = recommender.scorer.memory
    return None if memory is None else memory.weights.tolist()


def weigh(recommender: ra.Recommender, weights: Sequence[float]) -> None:
    """Set the weights of the transition memory; tables that are newer than the weights get 0."""
    found = recommender.scorer.memory.weights
    found.zero_()
    found[: len(weights)] = found.new_tensor(weights)


def shuffled(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same users, moments and items, with each user's items in random order."""
    rng = np.random.default_rng(seed)
    users = pd.factorize(train[c.USER])[0]
    items = train[c.ITEM].to_numpy(copy=True)
    target = np.argsort(users, kind="stable")
    items[target] = items[np.lexsort((rng.random(len(train)), users))]
    return train.assign(item_id=items)


def _untrained(trial: Trial, task: Task, seed: int, refit: Refit | None) -> ra.Recommender:
    items, users = attributes(trial.model, task)
    source = task.data.source
    return ra.Recommender(
        *configs(trial, task, seed, refit),
        item_features=source.item_features if items is not None else (),
        user_features=source.user_features if users is not None else (),
    )
