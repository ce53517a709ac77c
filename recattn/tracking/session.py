"""The `with` block a run lives in."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from recattn.errors import ConfigError, RecattnError
from recattn.tracking import privacy, stale, uri
from recattn.tracking.quiet import quiet
from recattn.tracking.run import Run

_STATE_FILE = "observers.json"


@contextlib.contextmanager
def track(
    experiment: str = "recattn",
    run_name: str | None = None,
    *,
    tracking_uri: str | None = None,
    tags: Mapping[str, object] | None = None,
    resume_from: str | Path | None = None,
) -> Iterator[Run]:
    """A run of MLflow around a block of code; hand the `Run` to `fit(observers=[run])`.

    The MLflow is `tracking_uri`, else the URI already set, else `MLFLOW_TRACKING_URI`, else
    `sqlite:///mlflow.db` of the working directory, whose files lie in `mlartifacts` beside it. An active run
    is joined, and left open at the end; then `experiment` and `run_name` do not count. A block that raises
    (Ctrl-C too) ends its run FAILED.

    A process killed outright leaves its run RUNNING; the next `track` in the same experiment closes it
    (FAILED, tag `recattn.closed_as`). `resume_from` is a checkpoint folder of `fit`: the run it belongs to is
    opened again, or a new one where there is none yet.

    Raises:
        ConfigError: MLflow cannot be used as asked: an unreachable server, a file store, a deleted
            experiment, an active run of another MLflow, or a run to resume that a living process still
            writes to.
    """
    joined = mlflow.active_run()
    where = uri.choose(tracking_uri)
    if joined is not None and not uri.same(where, mlflow.get_tracking_uri()):
        raise ConfigError(
            f"Run {joined.info.run_id} is active in {privacy.scrubbed(mlflow.get_tracking_uri())}, "
            f"but tracking_uri is {privacy.scrubbed(where)}. End that run first, or leave tracking_uri out."
        )
    with uri.using(where):
        with _explained(where), quiet("mlflow.store.db.utils"):
            uri.check(where)
            opened = joined or _open(where, experiment, run_name, resume_from)
            run = Run(MlflowClient(where).get_run(opened.info.run_id), where)
        with _alive(run, keep=joined is not None and run.beating), _ended(run, close=joined is None):
            with _explained(where):
                run.begin(tags or {})
            yield run


def _open(where: str, experiment: str, run_name: str | None, resume_from: str | Path | None) -> MlflowRun:
    client = MlflowClient(where)
    earlier = _earlier(client, resume_from)
    experiment_id = earlier.info.experiment_id if earlier else _experiment(client, where, experiment)
    if earlier is not None and stale.lives_here(earlier):
        raise ConfigError(
            f"Run {earlier.info.run_id} cannot be resumed: a living process still writes to it "
            f"(pid {(stale.read_beat(earlier) or {}).get('pid')}). Stop it first."
        )
    stale.close_stale(client, experiment_id, but=earlier.info.run_id if earlier else None)
    beat = {stale.HEARTBEAT: stale.heartbeat()}
    if earlier is None:
        return mlflow.start_run(experiment_id=experiment_id, run_name=run_name, tags=beat)
    for tag in (stale.CLOSED_AS, "recattn.error", "recattn.error_type"):
        if tag in earlier.data.tags:
            client.delete_tag(earlier.info.run_id, tag)
    with _experiment_set(experiment_id):
        return mlflow.start_run(run_id=earlier.info.run_id, tags=beat)


@contextlib.contextmanager
def _experiment_set(experiment_id: str) -> Iterator[None]:
    """MLflow refuses to open a run outside the experiment the user has set: it is set for this moment."""
    before = os.environ.get("MLFLOW_EXPERIMENT_ID")  # where mlflow.set_experiment leaves it
    if before in (None, experiment_id):
        yield
        return
    mlflow.set_experiment(experiment_id=experiment_id)
    try:
        yield
    finally:
        with contextlib.suppress(MlflowException):
            mlflow.set_experiment(experiment_id=before)


def _experiment(client: MlflowClient, where: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=uri.artifact_place(where, name))
        except MlflowException:  # another process may have been quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise ConfigError(f"Experiment {name!r} is deleted. Restore it in MLflow, or choose another name.")
    return found.experiment_id


def _earlier(client: MlflowClient, folder: str | Path | None) -> MlflowRun | None:
    path = Path(folder) / _STATE_FILE if folder is not None else None
    if path is None or not path.is_file():
        return None
    try:
        run = client.get_run(json.loads(path.read_text())["mlflow_run_id"])
    except (OSError, ValueError, KeyError, TypeError, MlflowException) as error:
        warnings.warn(f"{path} leads to no run ({privacy.scrubbed(str(error))}); a new one begins.", stacklevel=6)
        return None
    if run.info.lifecycle_stage != "active":
        warnings.warn(f"Run {run.info.run_id} is deleted; a new one begins.", stacklevel=6)
        return None
    return run


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except RecattnError:
        raise
    except Exception as error:  # databases and servers raise kinds of their own
        reason = privacy.scrubbed(str(error))
        raise ConfigError(f"MLflow at {privacy.scrubbed(where)} cannot be used: {reason}") from error


@contextlib.contextmanager
def _alive(run: Run, *, keep: bool) -> Iterator[None]:
    """Heartbeats while the block runs; `keep` leaves the last one to an outer block."""
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(stale.BEAT_SECONDS):
            with contextlib.suppress(Exception):
                run.beat()

    thread = threading.Thread(target=go_on, name="recattn-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)
        if not keep:
            with _forgiven("remove its heartbeat"):
                MlflowClient(run.tracking_uri).delete_tag(run.id, stale.HEARTBEAT)


@contextlib.contextmanager
def _ended(run: Run, *, close: bool) -> Iterator[None]:
    """Draws the figure and sets the status; what MLflow refuses here is a warning, never a lost result."""
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, SystemExit) and error.code in (None, 0)):
            run.status = "FAILED"
            with _forgiven("record the error"):
                run.failed(error)
        raise
    finally:
        with _forgiven("draw the learning curve"):
            run.finish()
        if close:
            with _forgiven("end"):
                active = mlflow.active_run()
                if active is not None and active.info.run_id == run.id:
                    mlflow.end_run(run.status)
                else:
                    MlflowClient(run.tracking_uri).set_terminated(run.id, run.status)


@contextlib.contextmanager
def _forgiven(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        warnings.warn(f"The MLflow run could not {what}: {privacy.scrubbed(str(error))}", stacklevel=3)
