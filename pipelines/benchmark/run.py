"""Named models on named data sets and protocols; every finished cell is a file and is never run again."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import recattn as ra
from pipelines.benchmark import cells, openings, recommenders, runs
from pipelines.benchmark.cells import Cell
from pipelines.benchmark.choose import winner
from pipelines.benchmark.claims import claimed
from pipelines.benchmark.datasets import load
from pipelines.benchmark.models import check_override, model
from pipelines.benchmark.protocols import Task, protocol
from pipelines.benchmark.trials import SETTINGS, Trial, trials
from recattn.cli.threads import cpu_threads
from recattn.dataset.split import Part
from recattn.errors import RecattnError

METRICS = (ra.NDCG(10), ra.HitRate(10), ra.Recall(20), ra.MRR(10), ra.Coverage(10))
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
        final: Judge on test the trial that has won on validation. Each look is recorded in openings.jsonl.
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
    task: Task, trial: Trial, seed: int = 0, *, part: Part = "valid", places: Places | None = None, wait: bool = True
) -> dict[str, Any] | None:
    """One cell: what is kept of it, else train, judge, keep, log. None where another process has it and not `wait`.

    With `part="test"` the look at test is recorded before its lists are made.
    """
    places = places or Places()
    cell = Cell(task.data.name, task.protocol.name, trial.model.name, trial.name, seed)
    key = cells.key_of(cell, task.data.digest, recommenders.versions(trial.model))
    full = recommenders.resolved(trial, task, seed)
    kept = cells.finished(places.results, cell, part, key, full)
    if kept is not None:
        return kept
    folder = places.scratch.expanduser() / "cells" / _scratch_name(places, cell, key, full)
    with claimed(folder, wait=wait) as ours:
        if not ours:
            return None
        kept = cells.finished(places.results, cell, part, key, full)  # another process may have been quicker
        if kept is not None:
            return kept
        print(f"{cell.stem} {part}", flush=True)
        fitted = recommenders.fit(trial, task, seed, folder, peers_folder=places.peers.expanduser())
        opening = {"opening": openings.record(places.results, cell)} if part == "test" else {}
        about, report = _judge(task, fitted, part)
        about = {
            "cell": asdict(cell) | {"group": trial.model.group},
            "key": key,
            "scratch": folder.name,
            "data_digest": task.data.digest,
            "settings": dict(trial.settings),
            "resolved": full,
            "versions": recommenders.versions(trial.model),
            "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or None,
            **opening,
            **about,
        }
        cells.write(places.results, cell, part, about, report.per_request)
    if places.experiment is not None:
        runs.log(part, about, report, experiment=places.experiment, tracking_uri=places.tracking_uri)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in about["metrics"].items())
    print(f"{cell.stem} {part}: {shown} ({about['train_seconds']:.0f} s)", flush=True)
    return about


def _judge(task: Task, fitted: recommenders.Fitted, part: Part) -> tuple[dict[str, Any], ra.Report]:
    """Figures of a part, with per-request values whose ids are ordinals."""
    asked = task.asked(part)
    begin = time.perf_counter()
    listed = fitted.recommend(asked)
    seconds = time.perf_counter() - begin
    policy = {"protocol": task.protocol.name, "ties": task.protocol.ties, "time": task.data.time}
    report = ra.evaluate(listed, asked.truth, METRICS, seen="drop", catalog=fitted.catalog, policy=policy)
    about = {
        "metrics": {name: round(value, 6) for name, value in report.summary.items()},
        "policy": report.policy,
        "cold_share": round(task.cold_share(asked.truth), 6),
        "train_seconds": round(fitted.seconds, 2),
        "recommend_seconds": round(seconds, 2),
        **fitted.about,
    }
    requests = report.per_request["request_id"]
    table = report.per_request[[name for name in cells.PER_REQUEST if name in report.per_request]].astype(np.float32)
    table.insert(0, "request_id", requests.astype(np.int32))
    table.insert(1, "user_id", asked.users.reindex(requests).to_numpy())
    table["history"] = asked.lengths.reindex(requests).to_numpy(np.int32)
    table["cold"] = asked.cold.reindex(requests).to_numpy(bool)
    return about, ra.Report(about["metrics"], table, report.policy)


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


def _scratch_name(places: Places, cell: Cell, key: str, full: Mapping[str, Any]) -> str:
    """The folder of a finished cell, else one for its key and settings: other settings are another fit."""
    kept = cells.finished(places.results, cell, "valid", key, full)
    made_of = hashlib.sha256(json.dumps([key, sorted(full.items())]).encode())
    return kept["scratch"] if kept else made_of.hexdigest()[:16]


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.benchmark.run --data_root DIR ...`; the exit status."""
    from jsonargparse import auto_cli  # `run` itself runs where it is not installed

    try:
        auto_cli(run, args=arguments, as_positional=False)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
