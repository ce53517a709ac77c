"""Cells in MLflow: one experiment, one run a cell."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from typing import Any

import recattn as ra


def available() -> bool:
    """Whether MLflow is installed; the harness runs without it."""
    return importlib.util.find_spec("mlflow") is not None


def log(
    part: str, about: Mapping[str, Any], report: ra.Report, *, experiment: str, tracking_uri: str | None = None
) -> str | None:
    """A finished part of a cell as a run, by its id; what MLflow refuses is a warning, never a lost result."""
    cell = about["cell"]
    name = f"{cell['model']} {cell['dataset']} {cell['protocol']} {cell['trial']} seed {cell['seed']}"
    tags = {f"benchmark.{key}": value for key, value in cell.items()} | {"benchmark.part": part}
    try:
        with ra.track(experiment, name, tracking_uri=tracking_uri, tags=tags) as run:
            run.params({key: "none" if value is None else value for key, value in about["resolved"].items()})
            for epoch in about.get("curve", []) if part == "valid" else []:
                values = {key for key in epoch if key not in ("epoch", "seconds")}
                run.metrics({f"epoch/{key.replace('/', '_')}": epoch[key] for key in values}, step=epoch["epoch"])
            run.log(report, prefix=part)
            run.metrics({"train_seconds": about["train_seconds"], "cold_share": about["cold_share"]}, step=0)
            if "opening" in about:
                run.tags({"benchmark.opened": about["opening"]["when"]})
                run.metrics({"test_openings": about["opening"]["count"]}, step=0)
            return run.id
    except Exception as error:  # two processes write to one database; results are files and come first
        warnings.warn(f"the cell could not be logged to MLflow ({type(error).__name__}: {error}).", stacklevel=2)
        return None
