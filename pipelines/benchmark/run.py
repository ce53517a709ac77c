"""Named models on named data sets and protocols; every finished cell is a file and is never run again."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.benchmark import cells, openings, recommenders, runs
from pipelines.benchmark.cells import Cell
from pipelines.benchmark.choose import winner
from pipelines.benchmark.claims import claimed
from pipelines.benchmark.datasets import load
from pipelines.benchmark.judge import judge
from pipelines.benchmark.models import check_override, model
from pipelines.benchmark.protocols import Task, protocol
from pipelines.benchmark.refits import PLACE, Refit, folder_name
from pipelines.benchmark.trials import SETTINGS, Trial, trials
from pipelines.command import command
from recattn.cli.threads import cpu_threads
from recattn.dataset.split import Part

CACHE = Path("~/.cache/recattn-benchmark")


@dataclass(frozen=True)
class Places:
    """Where things are kept."""

    results: Path = cells.RESULTS  # finished cells
    scratch: Path = CACHE  # checkpoints and trained models
    peers: Path = CACHE / "peers"  # environments of peers
    experiment: str | None = "benchmark"  # of MLflow; None logs nothing
    tracking_uri: str | None = None


def run(
    data_root: str,
    *,
    datasets: list[str],
    models: list[str],
    protocols: list[str] = ["gts-last"],  # noqa: B006
    seeds: list[int] = [0],  # noqa: B006
    trials: int = 1,
    best: bool = False,
    final: bool = False,
    override: dict[str, Any] | None = None,
    settings: str = str(SETTINGS),
    results: str = str(cells.RESULTS),
    scratch: str = str(CACHE),
    peers: str = str(CACHE / "peers"),
    experiment: str | None = "benchmark",
    tracking_uri: str | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Run the cells that are not there yet; judge on validation, and on test only with --final.

    Args:
        data_root: The folder with one folder a data set.
        datasets: Their names.
        models: Names of models (models.py).
        protocols: Names of protocols (protocols.py).
        seeds: One cell each. Models without weights have one.
        trials: Settings tried a model: the base settings, then draws from its search space.
        best: Run only the trial that has won on validation so far, for instance with more seeds.
        final: Judge on test the trial that has won on validation, after a time split fitted again on train and
            validation. Each look is recorded in openings.jsonl.
        override: Settings above all others, e.g. {"model.dim": 8}; they make a trial of their own.
        settings: What differs from the defaults on each data set.
        results: Folder of the finished cells.
        scratch: Folder for checkpoints and trained models.
        peers: Folder with the environments of peers.
        experiment: The MLflow experiment; null logs nothing.
        tracking_uri: The MLflow to write to.
        threads: Torch threads on the CPU.

    Returns:
        One row a cell, with its metrics.
    """
    if experiment is not None and not runs.available():
        print("MLflow is not installed: cells are kept as files only.")
        experiment = None
    check_override([model(name) for name in models], override or {})
    places = Places(Path(results), Path(scratch), Path(peers), experiment, tracking_uri)
    done = []
    with cpu_threads(threads):
        for dataset in datasets:
            data = load(dataset, data_root)
            for task in (Task(data, protocol(name)) for name in protocols):
                plan = []
                for name in models:
                    reason = recommenders.unsuited(model(name), task)
                    if reason is not None:
                        print(f"{name} {dataset} {task.protocol.name}: left out, {reason}")
                        continue
                    tried = _trials(task, name, trials, places, best or final, override, Path(settings))
                    own_seeds = seeds if model(name).trained else [0]
                    plan += [(trial, seed) for seed in own_seeds for trial in tried]
                done += _run_all(task, plan, "test" if final else "valid", places)
    table = pd.DataFrame([{**about["cell"], **about["metrics"], "seconds": about["train_seconds"]} for about in done])
    print(f"\n{table.round(4).to_string(index=False)}" if len(table) else "nothing to run")
    return table


def run_cell(
    task: Task,
    trial: Trial,
    seed: int = 0,
    *,
    part: Part = "valid",
    places: Places | None = None,
    wait: bool = True,
    tells: Sequence[str] = (),
) -> dict[str, Any] | None:
    """One cell: what is kept of it, else train, judge, keep, log. None where another process has it and not `wait`.

    With `part="test"` the look at test is recorded before its lists are made. By a protocol that refits, the cell of
    validation comes first: the refit goes by it. What is kept but lacks a name of `tells` is run again.
    """
    places = places or Places()
    refit = None
    if part == "test" and task.protocol.refits:
        needed = ("memory_weights",) if trial.model.kind == "recattn" else ()
        validated = run_cell(task, trial, seed, places=places, wait=wait, tells=needed)
        if validated is None:
            return None
        refit = Refit.of(validated, trial)
    cell = Cell(task.data.name, task.protocol.name, trial.model.name, trial.name, seed)
    versions, full = recommenders.versions(trial.model), recommenders.resolved(trial, task, seed)
    key = cells.key_of(cell, task.data.digest, versions, None if refit is None else refit.decides)
    kept = cells.finished(places.results, cell, part, key, full, tells)
    if kept is not None:
        return kept
    folder = _folder(task, trial, cell, places, key=key, refit=refit)
    with claimed(folder, wait=wait) as ours:
        if not ours:
            return None
        kept = cells.finished(places.results, cell, part, key, full, tells)  # another process may have been quicker
        if kept is not None:
            return kept
        print(f"{cell.stem} {part}", flush=True)
        fitted = recommenders.fit(trial, task, seed, folder, peers_folder=places.peers.expanduser(), refit=refit)
        opening = {"opening": openings.record(places.results, cell)} if part == "test" else {}
        figures, report = judge(task, fitted, part)
        about = {
            "cell": asdict(cell) | {"group": trial.model.group},
            "key": key,
            "scratch": folder.name,
            "data_digest": task.data.digest,
            "settings": dict(trial.settings),
            "resolved": full,
            "versions": versions,
            "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or None,
            **opening,
            **({} if refit is None else {"refitted": True}),
            **figures,
        }
        cells.write(places.results, cell, part, about, report.per_request)
    if places.experiment is not None:
        runs.log(part, about, report, experiment=places.experiment, tracking_uri=places.tracking_uri)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in about["metrics"].items())
    print(f"{cell.stem} {part}: {shown} ({about['train_seconds']:.0f} s)", flush=True)
    return about


def _trials(
    task: Task,
    name: str,
    count: int,
    places: Places,
    chosen: bool,
    override: Mapping[str, Any] | None,
    settings: Path,
) -> list[Trial]:
    if not chosen:
        return trials(model(name), task.data.name, count, override=override, file=settings)
    found = winner(task, model(name), places.results)
    if found is None:
        print(f"{name} {task.data.name} {task.protocol.name}: left out, no trial has been validated yet")
    return [] if found is None else [found]


def _run_all(task: Task, plan: list[tuple[Trial, int]], part: Part, places: Places) -> list[dict[str, Any]]:
    """Those another process is busy with come last; by then they are usually done."""
    done, busy = [], []
    for trial, seed in plan:
        about = run_cell(task, trial, seed, part=part, places=places, wait=False)
        done.append(about) if about is not None else busy.append((trial, seed))
    for trial, seed in busy:
        done.append(run_cell(task, trial, seed, part=part, places=places))
    return [about for about in done if about is not None]


def _folder(task: Task, trial: Trial, cell: Cell, places: Places, *, key: str, refit: Refit | None) -> Path:
    """Where a fit lies: that of the finished cell, else one for its key and settings; refits lie apart."""
    scratch = places.scratch.expanduser()
    if refit is not None:
        settings = recommenders.resolved(trial, task, cell.seed, refit)
        return scratch / PLACE / folder_name(trial, task, settings, recommenders.versions(trial.model))
    full = recommenders.resolved(trial, task, cell.seed)
    kept = cells.finished(places.results, cell, "valid", key, full)
    made_of = hashlib.sha256(json.dumps([key, sorted(full.items())]).encode())
    return scratch / "cells" / (kept["scratch"] if kept else made_of.hexdigest()[:16])


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.benchmark.run --data_root DIR ...`; the exit status."""
    return command(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
