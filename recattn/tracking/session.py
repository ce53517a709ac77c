"""The `with` block a run lives in."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from recattn.errors import ConfigError
from recattn.tracking import privacy, stale, uri
from recattn.tracking.notes import Note
from recattn.tracking.observed import WAIT_SECONDS
from recattn.tracking.quiet import quiet
from recattn.tracking.run import Run
from recattn.tracking.server import explained
from recattn.tracking.silent import SilentRun, is_first_process

_STATE_FILE = "observers.json"
_PARENT = "mlflow.parentRunId"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def track(
    experiment: str = "recattn",
    run_name: str | None = None,
    *,
    tracking_uri: str | None = None,
    tags: Mapping[str, object] | None = None,
    parent: str | None = None,
    resume_from: str | Path | None = None,
    system_metrics: bool = True,
    wait: float = WAIT_SECONDS,
) -> Iterator[Run]:
    """A run of MLflow around a block of code; hand the `Run` to `fit(observers=[run])`.

    The MLflow is `tracking_uri`, else the URI already set, else `MLFLOW_TRACKING_URI`, else
    `sqlite:///mlflow.db` of the working directory, whose files lie in `mlartifacts` beside it. An active run
    is joined, and left open at the end; then `experiment` and `run_name` do not count. A block that raises
    (Ctrl-C too) ends its run FAILED.

    A process killed outright leaves its run RUNNING; the next `track` in the same experiment closes it
    (FAILED, tag `recattn.closed_as`). `resume_from` is a checkpoint folder of `fit`: the run it belongs to is
    opened again, or a new one where there is none yet.

    An MLflow that goes away does not stop the block: what is logged waits, and is sent when it is back, or at the end
    for `wait` seconds; what then is left is kept in `recattn-unsent/RUN` (`recattn runs --send`). In all processes of a
    distributed fit but the first the run is silent (`SilentRun`).

    Args:
        experiment: The experiment of a new run; made where it is not there.
        run_name: Its name; MLflow makes one up.
        tracking_uri: The MLflow to write to.
        tags: Tags of your own.
        parent: The id of the run that this one is listed under.
        resume_from: A checkpoint folder of `fit`.
        system_metrics: Whether MLflow records processor, memory and disk every ten seconds; needs psutil.
        wait: Seconds to wait at the end for an MLflow that is away.

    Raises:
        ConfigError: MLflow cannot be used as asked: an unreachable server, a file store, a deleted
            experiment, an active run of another MLflow, or a run to resume that a living process still
            writes to.
    """
    if not is_first_process():
        yield SilentRun()
        return
    joined = mlflow.active_run()
    where = uri.choose(tracking_uri)
    if joined is not None and not uri.same(where, mlflow.get_tracking_uri()):
        raise ConfigError(
            f"Run {joined.info.run_id} is active in {privacy.scrubbed(mlflow.get_tracking_uri())}, "
            f"but tracking_uri is {privacy.scrubbed(where)}. End that run first, or leave tracking_uri out."
        )
    told = {**(tags or {}), **({_PARENT: parent} if parent else {})}
    with uri.using(where), uri.impatient():
        with explained(where), quiet("mlflow.store.db.utils", "mlflow.system_metrics"):
            uri.check(where)
            opened = joined or _open(where, experiment, run_name, resume_from, _watched(system_metrics))
            run = Run(MlflowClient(where).get_run(opened.info.run_id), where)
        with _ended(run, wait, close=joined is None, keep_beat=joined is not None and run.beating), _alive(run):
            with explained(where):
                run.begin(told)
            yield run


def _watched(wanted: bool) -> bool | None:
    """Whether to record system metrics; None leaves it to MLflow's own switch."""
    if not wanted or importlib.util.find_spec("psutil") is not None:
        return wanted or None
    log.debug("psutil is not installed: no system metrics")
    return None


def _open(
    where: str, experiment: str, run_name: str | None, resume_from: str | Path | None, watched: bool | None
) -> MlflowRun:
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
        return mlflow.start_run(experiment_id=experiment_id, run_name=run_name, tags=beat, log_system_metrics=watched)
    for tag in (stale.CLOSED_AS, "recattn.error", "recattn.error_type"):
        if tag in earlier.data.tags:
            client.delete_tag(earlier.info.run_id, tag)
    with _experiment_set(experiment_id):
        return mlflow.start_run(run_id=earlier.info.run_id, tags=beat, log_system_metrics=watched)


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
def _alive(run: Run) -> Iterator[None]:
    """Heartbeats while the block runs."""
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


@contextlib.contextmanager
def _ended(run: Run, wait: float, *, close: bool, keep_beat: bool) -> Iterator[None]:
    """Draws the figure, sends what waits, sets the status; what MLflow refuses here is no lost result."""
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
        if run.away:
            log.warning("waiting up to %.0f s for MLflow to come back; Ctrl-C ends the waiting", wait)
        sent = False
        try:
            sent = run.flush(wait)
        finally:  # after a Ctrl-C, too
            end = _end(run, close=close, keep_beat=keep_beat, sent=sent)
            with _forgiven("keep what MLflow did not take"):
                _tell(run, run.close(end))


def _end(run: Run, *, close: bool, keep_beat: bool, sent: bool) -> Note | None:
    """Set the status and take the heartbeat away; what is to be sent later, where MLflow is away."""
    with uri.impatient(retries=0, seconds=5):
        active = mlflow.active_run()
        mine = close and active is not None and active.info.run_id == run.id
        try:
            if mine:
                with quiet("mlflow.system_metrics"):
                    mlflow.end_run(run.status)
            elif close:
                MlflowClient(run.tracking_uri).set_terminated(run.id, run.status)
        except Exception as error:
            if sent:  # else what is kept says it
                warnings.warn(f"The MLflow run could not end: {privacy.scrubbed(str(error))}", stacklevel=2)
            return Note("end", {"status": run.status, "milliseconds": int(time.time() * 1000)})
        if not keep_beat and (sent or not run.away):
            with _forgiven("remove its heartbeat"):
                MlflowClient(run.tracking_uri).delete_tag(run.id, stale.HEARTBEAT)
    return None


def _tell(run: Run, unsent: Path | None) -> None:
    if unsent is not None:
        log.warning(
            "MLflow did not get all of run %s. The rest is kept in %s; send it with: recattn runs --send %s",
            run.id,
            unsent,
            unsent,
        )


@contextlib.contextmanager
def _forgiven(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        warnings.warn(f"The MLflow run could not {what}: {privacy.scrubbed(str(error))}", stacklevel=3)
