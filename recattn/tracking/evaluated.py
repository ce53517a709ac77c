"""Runs of MLflow read back as what `Run.log` has written: a Report, its lists, what it cost."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import FileInfo
from mlflow.entities import Run as MlflowRun

from recattn.errors import ArtifactError, listed
from recattn.evaluation import Report
from recattn.tracking.find import find_run
from recattn.tracking.load import _no_bars
from recattn.tracking.server import explained

_CURVES = ("train/", "valid/")


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """One run and its evaluation.

    Attributes:
        id: The run id.
        name: The run's name.
        experiment_id: The experiment it belongs to.
        status: FINISHED, RUNNING, FAILED ...
        params: As MLflow has them, text.
        metrics: The last value of each, under its full name (`test/ndcg_at_10`).
        tags: All of them.
        report: What was measured; `policy["hashed_ids"]` says whether ids in it are hashed.
        recommendations: The lists judged (key, `user_id`, `item_id` as text, `rank`, `score`), None where the run keeps
            none or they were not asked for.
        seed_group: Equal for runs that differ in their seed only; None for runs of older versions.
        datasets: Digest of each data set it lists, by context and name.
        cost: `fit_seconds`, `peak_memory_mb`, `parameters`, `recommend_seconds`: those that are known.
    """

    id: str
    name: str
    experiment_id: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    report: Report
    recommendations: pd.DataFrame | None
    seed_group: str | None
    cost: dict[str, float]
    datasets: dict[str, str] = dataclasses.field(default_factory=dict)


def read_run(
    client: MlflowClient,
    which: str,
    prefix: str = "test",
    *,
    experiment: str | None = None,
    allow_unfinished: bool = False,
    lists: bool = True,
) -> EvaluatedRun:
    """The evaluation that a run keeps under `prefix`.

    Args:
        client: Of the MLflow it is in.
        which: As for `find_run`.
        prefix: As for `Run.log`.
        experiment: Where a name is looked for; everywhere by default.
        allow_unfinished: Also take a run that still runs, or failed after it was judged.
        lists: Whether to read the recommendations, which are large.

    Raises:
        ArtifactError: No such run or model version, a run that still runs, failed or is deleted, or one that keeps no
            evaluation under `prefix`.
        ConfigError: A name of several runs, or an MLflow that cannot be used.
    """
    run = find_run(client, which, experiment=experiment)
    _check_state(run, which, allow_unfinished)
    report, recommendations = _read_files(client, run, prefix, lists)
    data = run.data
    named = {name: value for name, value in data.metrics.items() if name.startswith("cost/")}
    return EvaluatedRun(
        id=run.info.run_id,
        name=run.info.run_name,
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        params=dict(data.params),
        metrics=dict(data.metrics),
        tags=dict(data.tags),
        report=report,
        recommendations=recommendations,
        seed_group=data.tags.get("recattn.seed_group"),
        cost={name.removeprefix("cost/"): value for name, value in named.items()},
        datasets={
            " ".join([*(tag.value for tag in one.tags), one.dataset.name]): one.dataset.digest
            for one in (run.inputs.dataset_inputs if run.inputs else [])
        },
    )


def read_curves(client: MlflowClient, run: EvaluatedRun) -> dict[str, dict[int, float]]:
    """The metrics of the run by epoch: `train/...` and `valid/...` -> {step: value}."""
    names = [name for name in run.metrics if name.startswith(_CURVES)]
    with explained(client.tracking_uri):
        return {name: {p.step: p.value for p in client.get_metric_history(run.id, name)} for name in names}


def _check_state(run: MlflowRun, which: str, allow_unfinished: bool) -> None:
    info = run.info
    said = which if info.run_id in which else f"{which} (run {info.run_id})"
    if info.lifecycle_stage != "active":
        raise ArtifactError(f"{said} is deleted. Restore it in MLflow, or choose another.")
    if info.status != "FINISHED" and not allow_unfinished:
        state = {"RUNNING": "still runs", "SCHEDULED": "has not begun"}.get(info.status, f"ended {info.status}")
        why = run.data.tags.get("recattn.error", "")
        raise ArtifactError(
            f"{said} {state}{f' ({why})' if why else ''}: its figures may not be final. Wait for it, choose another, "
            "or pass allow_unfinished=True."
        )


def _read_files(client: MlflowClient, run: MlflowRun, prefix: str, lists: bool) -> tuple[Report, pd.DataFrame | None]:
    names = {one.path for one in _artifacts(client, run, prefix)}
    policy, rows = f"{prefix}/policy.json", f"{prefix}/per_request.parquet"
    lacking = [path for path in (policy, rows) if path not in names]
    if lacking:
        others = {path.path for path in _artifacts(client, run, None) if path.is_dir}
        raise ArtifactError(
            f"run {run.info.run_id} ({run.info.run_name}) has no per-request metrics: {' and '.join(lacking)} are "
            f"missing. `run.log(report, {prefix!r})` writes them.{_other_prefixes(client, run, others)}"
        )
    with tempfile.TemporaryDirectory() as folder, explained(client.tracking_uri), _no_bars():

        def local(path: str) -> Path:
            return Path(client.download_artifacts(run.info.run_id, path, folder))

        try:
            report = Report(
                summary={
                    name.removeprefix(f"{prefix}/"): value
                    for name, value in run.data.metrics.items()
                    if name.startswith(f"{prefix}/")
                },
                per_request=pd.read_parquet(local(rows)),
                policy=json.loads(local(policy).read_text(encoding="utf-8")),
            )
            kept = f"{prefix}/recommendations.parquet"
            return report, pd.read_parquet(local(kept)) if lists and kept in names else None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"the files of run {run.info.run_id} cannot be read: {error}") from error


def _artifacts(client: MlflowClient, run: MlflowRun, path: str | None) -> Sequence[FileInfo]:
    with explained(client.tracking_uri):
        return client.list_artifacts(run.info.run_id, path)


def _other_prefixes(client: MlflowClient, run: MlflowRun, folders: set[str]) -> str:
    having = [
        folder
        for folder in sorted(folders)
        if any(one.path == f"{folder}/policy.json" for one in _artifacts(client, run, folder))
    ]
    return f" It has an evaluation under {listed(having)}." if having else ""
