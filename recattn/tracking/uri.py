"""Which MLflow a run is written to."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import mlflow

VARIABLE = "MLFLOW_TRACKING_URI"


def choose(argument: str | None) -> str:
    """The argument, else the URI already set in MLflow, else `MLFLOW_TRACKING_URI`, else `mlflow.db` right
    here.

    MLflow's own default may be the file store, which it no longer writes to; ours is always a database.
    """
    if argument:
        return argument
    if mlflow.is_tracking_uri_set():
        return mlflow.get_tracking_uri()
    return f"sqlite:///{(Path.cwd() / 'mlflow.db').as_posix()}"


@contextlib.contextmanager
def using(uri: str) -> Iterator[None]:
    """MLflow pointed at `uri` inside the block, and back where it was after it."""
    variable = os.environ.get(VARIABLE)
    if mlflow.is_tracking_uri_set() and mlflow.get_tracking_uri() == uri:
        yield
        return
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        if mlflow.get_tracking_uri() == uri:
            # A URI from the environment is handed back as such: MLflow reads it only while none is set.
            mlflow.set_tracking_uri(None if before == variable else before)
            if variable is not None:
                os.environ[VARIABLE] = variable


@contextlib.contextmanager
def impatient(retries: int = 1, seconds: int | None = None) -> Iterator[None]:
    """Few tries a call of MLflow to a server, and with `seconds` short ones, inside the block.

    By its own defaults a call to a server that is away takes four minutes to fail. What the user has set stays, but at
    the end of a run (`seconds`).
    """
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries, "MLFLOW_HTTP_REQUEST_TIMEOUT": seconds}
    before = {name: os.environ.get(name) for name in wanted}
    for name, value in wanted.items():
        if value is not None and (before[name] is None or seconds is not None):
            os.environ[name] = str(value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


def check(uri: str) -> None:
    """OSError or sqlite3.Error where a SQLite database cannot be used; MLflow itself would try for two minutes."""
    database = _database(uri)
    if database is None:
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    for path in (database.parent, database):
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(f"no permission to write {path}")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()


def artifact_place(uri: str, experiment: str) -> str | None:
    """Where a new experiment keeps its files: beside a SQLite database; None leaves it to the server.

    MLflow would take `mlruns` of the working directory, wherever the database is.
    """
    database = _database(uri)
    if database is None:
        return None
    folder = re.sub(r"[^\w.-]+", "_", experiment).strip("._") or "experiment"
    return (database.parent / "mlartifacts" / folder).as_uri()


def same(one: str, other: str) -> bool:
    """Whether two URIs mean one MLflow; a SQLite file may be named in several ways."""
    return one == other or (_database(one) is not None and _database(one) == _database(other))


def _database(uri: str) -> Path | None:
    if not uri.startswith("sqlite:///"):
        return None
    path = unquote(uri.removeprefix("sqlite:///").split("?")[0])
    return Path(path).absolute() if path and path != ":memory:" else None
