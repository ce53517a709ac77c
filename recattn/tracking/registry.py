"""A model of the registry for a batch job: which version it is, fetched however long the server takes to answer."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recattn.errors import ConfigError
from recattn.tracking import privacy, uri
from recattn.tracking.load import load_logged_model

if TYPE_CHECKING:
    from recattn.recommender import Recommender

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between tries
TRANSIENT = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
Found = TypeVar("Found")
log = logging.getLogger("recattn")


@dataclass(frozen=True)
class ModelSource:
    """Where a model came from.

    Attributes:
        asked: The URI as it was given: `models:/books@champion`.
        pinned: The URI of what that was: `models:/books/3`.
        version: `books/3`, of a registered model.
        model_id: The LoggedModel of MLflow.
        run_id: The run that trained it.
    """

    asked: str
    pinned: str
    version: str | None = None
    model_id: str | None = None
    run_id: str | None = None

    def tags(self) -> dict[str, str]:
        """As tags of a run."""
        named = {
            "model": self.asked,
            "model_version": self.version,
            "model_id": self.model_id,
            "trained_by": self.run_id,
        }
        return {f"recattn.job.{name}": value for name, value in named.items() if value is not None}


def fetch_model(model_uri: str, *, tracking_uri: str | None = None) -> tuple[Recommender, ModelSource]:
    """The model at `models:/name@alias`, `models:/name/3`, `models:/m-...` or `runs:/id/path`, and what it is.

    An alias is looked up once, so that the version named is the one fetched. A server that does not answer is asked
    again after pauses that double, for about a minute in all.

    Raises:
        ArtifactError: There is no such model, or it is none of recattn.
        ConfigError: The MLflow did not answer.
    """
    where = uri.choose(tracking_uri)
    with uri.using(where), uri.impatient(), calm():
        source = patiently(lambda: _source(MlflowClient(where), model_uri), where)
        return patiently(lambda: load_logged_model(source.pinned, tracking_uri=where), where), source


def patiently(ask: Callable[[], Found], where: str) -> Found:
    """What `ask` gives, tried again while the MLflow at `where` does not answer.

    Raises:
        ConfigError: It did not answer the last time either.
    """
    for pause in (*PAUSES, None):
        try:
            return ask()
        except Exception as error:  # servers, databases and stores raise kinds of their own
            if not _passes(error):
                raise
            reason = privacy.scrubbed(str(error).strip(), 200)
            if pause is None:
                raise ConfigError(
                    f"MLflow at {privacy.scrubbed(where)} failed {len(PAUSES) + 1} times: {reason}. Start again when "
                    "it is back, or name the folder of a saved model."
                ) from error
            log.warning("MLflow does not answer; asking again in %.0f s: %s", pause, reason)
            time.sleep(pause)
    raise AssertionError


def _passes(error: BaseException | None) -> bool:
    """Whether it is the kind of error that may pass: no answer, not a no."""
    while error is not None:
        if isinstance(error, MlflowException):
            return error.error_code in TRANSIENT
        if isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.startswith(
            ("requests.", "urllib3.")
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _source(client: MlflowClient, asked: str) -> ModelSource:
    found = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", asked)
    if found is None:
        model_id = asked.removeprefix("models:/") if re.fullmatch(r"models:/m-\w+", asked) else None
        run = re.match(r"runs:/(\w+)/", asked)
        return ModelSource(asked, asked, model_id=model_id, run_id=run and run[1])
    name, alias, number = found.groups()
    try:
        version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    except MlflowException as error:
        if _passes(error):
            raise
        return ModelSource(asked, asked)  # what is wrong is told when it is fetched
    origin = re.fullmatch(r"models:/(m-\w+)", version.source or "")
    pinned = f"{name}/{version.version}"
    return ModelSource(asked, f"models:/{pinned}", pinned, origin and origin[1], version.run_id or None)


@contextmanager
def calm() -> Iterator[None]:
    """urllib3 and MLflow warn of every try themselves otherwise."""
    names = ("urllib3.connectionpool", "mlflow")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
