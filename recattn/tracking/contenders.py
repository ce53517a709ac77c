"""Runs of MLflow as contenders of a comparison."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from mlflow import MlflowClient

from recattn.comparison import ComparisonResult, Contender
from recattn.evaluation import Report
from recattn.tracking import reports
from recattn.tracking.evaluated import EvaluatedRun, read_curves
from recattn.tracking.find import HEADLINE
from recattn.tracking.session import track

if TYPE_CHECKING:
    from recattn.tracking.run import Run

TAG = "recattn.comparison"
_SHORT = 6
_CIRCUMSTANCES = re.compile(r"recattn\.(version|torch|lightning|numpy|git_commit|git_dirty|.*vocabulary_sha256)$")


def contenders_of_runs(
    client: MlflowClient, runs: Sequence[EvaluatedRun], *, metric: str | None = None, seeds: bool = True
) -> list[Contender]:
    """One contender a run, in their order; runs that differ in their seed only are one contender of several seeds.

    `metric` is the headline, whose best value on validation is noted. `seeds=False` keeps all runs apart, and so they
    are where there would be one contender only.
    """
    groups: dict[str, list[EvaluatedRun]] = {}
    for run in {run.id: run for run in runs}.values():
        groups.setdefault(run.seed_group if seeds and run.seed_group else run.id, []).append(run)
    if len(groups) == 1 and len(runs) > 1:
        groups = {run.id: [run] for run in runs}
    names = [group[0].name for group in groups.values()]
    return [
        _contender(client, group, name if names.count(name) == 1 else f"{name} {group[0].id[:_SHORT]}", metric)
        for group, name in zip(groups.values(), names, strict=True)
    ]


def contender_of_lists(name: str, report: Report, recommendations: pd.DataFrame, beside: Report) -> Contender:
    """Lists of anybody, judged as `report`, with their ids hashed where those of `beside`, a run's report, are."""
    hash_ids = bool(beside.policy.get("hashed_ids"))
    own = Report(
        report.summary, reports.hidden(report.per_request, hash_ids), {**report.policy, "hashed_ids": hash_ids}
    )
    lists = reports.hidden(reports.lists_of(report, recommendations), hash_ids)
    return Contender(name, (own,), ("a file",), lists)


def log_comparison(result: ComparisonResult, page: str, experiment: str, *, tracking_uri: str | None = None) -> str:
    """Keep the comparison as `comparison/comparison.html` and `.json` of a new run in `experiment`; its id.

    The run has the tag `recattn.comparison`, which holds the contenders' names, and no metrics: it is in no ranking.
    """
    names = result.contenders["contender"].tolist()
    with track(
        experiment, f"compare {len(names)}: {result.reference}", tracking_uri=tracking_uri, tags={TAG: ", ".join(names)}
    ) as run:
        _keep(run, {"comparison/comparison.html": page, "comparison/comparison.json": result.to_json()})
    return run.id


def _keep(run: Run, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        run.artifact(path, text)


def _contender(client: MlflowClient, group: Sequence[EvaluatedRun], name: str, metric: str | None) -> Contender:
    first = group[0]
    curves = read_curves(client, first)
    validation = f"valid/{metric or HEADLINE}"
    return Contender(
        name=name,
        reports=tuple(run.report for run in group),
        members=tuple(run.id for run in group),
        recommendations=first.recommendations,
        params=first.params,
        cost={str(cost): float(mean) for cost, mean in pd.DataFrame([run.cost for run in group]).mean().items()},
        curves=curves,
        circumstances={
            **{tag: value for tag, value in first.tags.items() if _CIRCUMSTANCES.match(tag)},
            **{f"dataset {name}": digest for name, digest in first.datasets.items()},
        },
        valid=max(curves[validation].values()) if validation in curves else None,
    )
