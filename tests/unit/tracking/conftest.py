"""One MLflow database for all tests of runs: each new one costs seconds."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite tracking URI with its tables made."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture
def uri(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The shared database, with MLflow's global state as a fresh process has it, before and after."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)
    yield database
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)
