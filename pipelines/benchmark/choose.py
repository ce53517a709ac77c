"""Which trial of a model has won on validation."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from pipelines.benchmark import cells, recommenders
from pipelines.benchmark.models import Model
from pipelines.benchmark.protocols import Task
from pipelines.benchmark.trials import Trial
from recattn.errors import ConfigError

HEADLINE = "ndcg_at_10"


def best_trial(scores: pd.DataFrame) -> str:
    """The `trial` with the highest mean of `ndcg_at_10`, over the seeds that all trials have (else over its own).

    A trial that was run with more seeds after it had won does not lose to the luck of one that has a single seed.
    """
    by_seed = scores.pivot_table(index="trial", columns="seed", values=HEADLINE)
    common = by_seed.dropna(axis=1)
    return str((common if common.shape[1] else by_seed).mean(axis=1).idxmax())


def winner(task: Task, model: Model, results: Path) -> Trial | None:
    """Among the finished cells that today's code and data would give again; None where there are none."""
    known: dict[str, Trial] = {}
    rows = []
    for path in (results / "cells" / task.data.name / task.protocol.name / model.name).glob("*-seed*.json"):
        if path.name.endswith(".test.json"):
            continue
        kept = json.loads(path.read_text())
        trial, seed = Trial(model, kept["settings"]), kept["cell"]["seed"]
        cell = cells.Cell(task.data.name, task.protocol.name, model.name, trial.name, seed)
        key = cells.key_of(cell, task.data.digest, recommenders.versions(model))
        try:
            full = recommenders.resolved(trial, task, seed)
        except ConfigError:  # a setting there is no more
            continue
        if cells.finished(results, cell, "valid", key, full) is not None:
            known[trial.name] = trial
            rows.append({"trial": trial.name, "seed": seed, HEADLINE: kept["metrics"][HEADLINE]})
    return known[best_trial(pd.DataFrame(rows))] if rows else None
