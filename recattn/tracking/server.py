"""The door to an MLflow that is to be read: what is wrong with it is said at once, in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url

from recattn.errors import ConfigError, RecattnError
from recattn.tracking import privacy, uri
from recattn.tracking.quiet import quiet

_SECONDS = 10


def connect(tracking_uri: str | None = None) -> MlflowClient:
    """A client of the MLflow that `track` would choose, tried once.

    Raises ConfigError for a server that does not answer, takes other credentials, or is of an older major version
    than the MLflow here, and for a database that is not there or cannot be opened.
    """
    where = uri.choose(tracking_uri)
    with explained(where), quiet("mlflow.store.db.utils"):
        if where.startswith(("http://", "https://")):
            _check_server(where)
        elif where.startswith("sqlite:///"):
            _check_database(where)
        client = MlflowClient(where)
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """What MLflow, its database or the network raise inside the block, as a ConfigError without secrets."""
    try:
        yield
    except RecattnError:
        raise
    except Exception as error:  # databases and servers raise kinds of their own
        text = privacy.scrubbed(str(error).strip())
        if isinstance(error, MlflowException) and any(code in text for code in ("401", "403")):
            text += (
                " Credentials are read from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN."
            )
        raise ConfigError(f"MLflow at {privacy.scrubbed(where)} cannot be used: {text}") from error


def _check_database(where: str) -> None:
    """MLflow itself would make an empty one."""
    file = make_url(where).database
    if not file or not Path(file).is_file():
        raise ConfigError(
            f"there is no MLflow database {file}. Pass tracking_uri='...' of the MLflow meant, or set {uri.VARIABLE}."
        )
    uri.check(where)


def _check_server(where: str) -> None:
    """MLflow itself would try for minutes."""
    try:
        answer = requests.get(f"{where.rstrip('/')}/version", timeout=_SECONDS)
    except requests.RequestException as error:
        reason = "it did not answer in time" if isinstance(error, requests.Timeout) else "nothing answers there"
        raise ConfigError(
            f"MLflow at {privacy.scrubbed(where)} cannot be reached: {reason}. Is the server up, and the address right?"
        ) from error
    theirs, ours = answer.text.strip(), mlflow.__version__
    if answer.ok and theirs.split(".")[0].isdigit() and int(theirs.split(".")[0]) < int(ours.split(".")[0]):
        raise ConfigError(
            f"MLflow at {privacy.scrubbed(where)} is version {theirs}, here it is {ours}: an older major version does "
            f"not understand it. Update the server, or install mlflow<{int(theirs.split('.')[0]) + 1} here."
        )
