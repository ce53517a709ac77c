"""A batch job as a run of MLflow, linked to the version of the model it used."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput

from recattn.errors import ArtifactError, ConfigError, RecattnError
from recattn.schema.columns import REQUEST, USER
from recattn.tracking import privacy, uri
from recattn.tracking.registry import ModelSource, calm
from recattn.tracking.run import Run
from recattn.tracking.session import track

LAST_RUN = "recattn.job.last_run"  # on the version of a model
WAIT = 20.0  # seconds at the end for an MLflow that is away
log = logging.getLogger("recattn")


@dataclass
class Outcome:
    """What a job gives its run, to be filled while it goes on.

    Attributes:
        metrics: Figures, `job/rows` and so on.
        tags: More tags.
        files: Values by path, in a form of `tracking.artifacts`. Of frames, ids of users and requests are hashed.
        safe: Errors whose message holds no id, beside settings and files that do not fit.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, object] = field(default_factory=dict)
    files: dict[str, object] = field(default_factory=dict)
    safe: tuple[type[Exception], ...] = ()


@contextlib.contextmanager
def job_run(
    params: Mapping[str, Any],
    tags: Mapping[str, object],
    *,
    experiment: str,
    run_name: str | None = None,
    tracking_uri: str | None = None,
    source: ModelSource | None = None,
) -> Iterator[Outcome]:
    """A run around a job; it ends FAILED where the block raises.

    An MLflow that is away, or refuses, is a warning: the job goes on, and the run is made at its end if it can be then.
    Messages of errors may quote ids of users: only those of settings, files and `Outcome.safe` are kept.
    """
    outcome = Outcome()
    failure: BaseException | None = None
    with ExitStack() as stack:
        how: dict[str, Any] = {"experiment": experiment, "run_name": run_name, "tracking_uri": tracking_uri}
        run = _begin(stack, tags, how)
        try:
            yield outcome
        except BaseException as error:  # handed on below: the run must not see its message
            failure = error
        if run is None:
            run = _begin(stack, tags, how)
        if run is not None:
            with _forgiven():
                _tell(run, params, outcome, failure, source)
            with _forgiven():
                stack.close()
    if failure is not None:
        raise failure


def _begin(stack: ExitStack, tags: Mapping[str, object], how: Mapping[str, Any]) -> Run | None:
    with _forgiven(), calm():
        return stack.enter_context(track(**how, tags=tags, system_metrics=False, wait=WAIT))
    return None


def _tell(
    run: Run, params: Mapping[str, Any], outcome: Outcome, failure: BaseException | None, source: ModelSource | None
) -> None:
    run.params(params)
    run.metrics(outcome.metrics, step=0)
    for path, value in outcome.files.items():
        run.artifact(path, _hashed(value) if isinstance(value, pd.DataFrame) else value)
    told: dict[str, object] = {"recattn.job.outcome": "finished"}
    if failure is not None:
        run.status = "FAILED"
        interrupted = isinstance(failure, KeyboardInterrupt | SystemExit)
        told = {
            "recattn.job.outcome": "interrupted" if interrupted else "failed",
            "recattn.error_type": type(failure).__name__,
        }
        if isinstance(failure, (ArtifactError, ConfigError, *outcome.safe)):
            told["recattn.error"] = privacy.scrubbed(str(failure))
    run.tags(outcome.tags | told)
    if source is None:
        return
    client = MlflowClient(run.tracking_uri)
    with _forgiven(), uri.impatient():
        if source.model_id is not None:
            client.log_inputs(run.id, models=[LoggedModelInput(source.model_id)])
        if source.version is not None and failure is None:
            name, _, number = source.version.rpartition("/")
            client.set_model_version_tag(name, number, LAST_RUN, run.id)


def _hashed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: privacy.hashed(frame[name]) for name in (USER, REQUEST) if name in frame})


@contextlib.contextmanager
def _forgiven() -> Iterator[None]:
    """A warning in place of what MLflow makes of it: the job is worth more than its run."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, RecattnError) else f"{type(error).__name__}: {error}"
        log.warning("the job's run in MLflow is not whole: %s", privacy.scrubbed(reason.strip(), 300))
