"""Runs of MLflow found by what people call them."""

from __future__ import annotations

import re

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from recattn.errors import ArtifactError, ConfigError, listed, nearest
from recattn.tracking.server import explained

HEADLINE = "ndcg_at_10"
_ID = re.compile(r"[0-9a-f]{32}")
_MOST_EXPERIMENTS = 1000


def find_run(client: MlflowClient, which: str, *, experiment: str | None = None) -> MlflowRun:
    """The run with this id or name, or the run that logged this model.

    `which` is a run id, `runs:/id` (with or without the rest), `models:/name@alias`, `models:/name/3`, `models:/m-...`,
    or the name of a run, which has to be the only one of that name in `experiment` (by default in all of them).
    Raises as `read_run`.
    """
    with explained(client.tracking_uri):
        if which.startswith("models:/"):
            return _get(client, _run_of_model(client, which), which)
        run_id = which.removeprefix("runs:/").partition("/")[0]
        if _ID.fullmatch(run_id):
            return _get(client, run_id, which)
        return _named(client, which, experiment)


def best_runs(client: MlflowClient, experiment: str, n: int, *, metric: str = f"test/{HEADLINE}") -> list[MlflowRun]:
    """The `n` finished runs of an experiment (name or id) with the highest `metric`, best first.

    Raises ConfigError for an unknown experiment, or one without two runs that have the metric.
    """
    if n < 2:
        raise ConfigError(f"best must be at least 2 runs to compare, got {n}.")
    with explained(client.tracking_uri):
        found = client.get_experiment_by_name(experiment) or _experiment_of_id(client, experiment)
        if found is None or found.lifecycle_stage != "active":
            names = [one.name for one in client.search_experiments(max_results=_MOST_EXPERIMENTS)]
            raise ConfigError(
                f"there is no experiment {experiment!r}.{nearest(experiment, names)} There are {listed(names)}."
            )
        runs = client.search_runs(
            [found.experiment_id],
            "attributes.status = 'FINISHED'",
            order_by=[f"metrics.`{metric}` DESC"],
            max_results=n,
        )
    having = [run for run in runs if metric in run.data.metrics]
    if len(having) < 2:
        known = sorted({name for run in runs for name in run.data.metrics})
        raise ConfigError(
            f"experiment {experiment!r} has {len(having)} finished runs with the metric {metric!r}: nothing to compare."
            f"{nearest(metric, known)}"
        )
    return having


def _get(client: MlflowClient, run_id: str | None, which: str) -> MlflowRun:
    if not run_id:
        raise ArtifactError(f"{which}: this version was not logged by a run, so that nothing is known of its quality.")
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        named = which if run_id in which else f"{which}, logged by run {run_id}"
        raise ArtifactError(f"{named}: there is no such run in the MLflow at {client.tracking_uri}.") from error


def _run_of_model(client: MlflowClient, uri: str) -> str | None:
    path = uri.removeprefix("models:/").strip("/")
    name, at, alias = path.partition("@")
    try:
        if at:
            return client.get_model_version_by_alias(name, alias).run_id
        name, slash, version = path.partition("/")
        if slash:
            return client.get_model_version(name, version).run_id
        return client.get_logged_model(path).source_run_id
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        reason = str(error).rpartition(": ")[2].strip()
        raise ArtifactError(
            f"{uri} leads to no model: {reason} It may have been deleted, or never had that alias or version."
        ) from error


def _named(client: MlflowClient, name: str, experiment: str | None) -> MlflowRun:
    if experiment is not None:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise ConfigError(f"there is no experiment {experiment!r}, where run {name!r} is looked for.")
        places = {found.experiment_id: found.name}
    else:
        places = {one.experiment_id: one.name for one in client.search_experiments(max_results=_MOST_EXPERIMENTS)}
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    runs = client.search_runs(list(places), f"attributes.run_name = {quoted}", max_results=6)
    if not runs:
        near = client.search_runs(list(places), max_results=200)
        raise ArtifactError(
            f"there is no run with the id or name {name!r}.{nearest(name, {run.info.run_name for run in near})}"
        )
    if len(runs) > 1:
        several = [f"{run.info.run_id} ({places[run.info.experiment_id]}, {run.info.status})" for run in runs]
        raise ConfigError(f"{name!r} is the name of several runs: {', '.join(several)}. Give the id of one.")
    return runs[0]


def _experiment_of_id(client: MlflowClient, experiment: str) -> Experiment | None:
    try:
        return client.get_experiment(experiment) if experiment.isdigit() else None
    except MlflowException:
        return None
