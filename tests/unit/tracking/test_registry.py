from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST

from recattn.errors import ArtifactError, ConfigError
from recattn.tracking import registry
from recattn.tracking.registry import ModelSource, fetch_model, patiently


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PAUSES", (0.01, 0.02))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def failing(*errors: Exception) -> Callable[[], str]:
    """Raises each of the errors in turn, then answers."""
    left = list(errors)

    def ask() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return ask


def test_a_server_that_comes_back_is_asked_again(caplog) -> None:
    with caplog.at_level(logging.WARNING, "recattn"):
        assert patiently(failing(ConnectionError("refused"), MlflowException("no answer")), "http://x") == "answer"
    assert caplog.text.count("MLflow does not answer; asking again") == 2


def test_a_no_is_taken_for_an_answer() -> None:
    for code in (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE):
        with pytest.raises(MlflowException, match="no such"):
            patiently(failing(MlflowException("no such", error_code=code)), "http://x")
    wrapped = ArtifactError("cannot be fetched")
    wrapped.__cause__ = MlflowException("no such", error_code=RESOURCE_DOES_NOT_EXIST)
    with pytest.raises(ArtifactError):
        patiently(failing(wrapped), "http://x")


def test_a_server_that_stays_away_is_a_clear_error_without_its_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        where = f"http://someone:hidden@127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"failed 3 times: .*Start again when it is back") as caught:
            fetch_model("models:/books@champion", tracking_uri=where)
    assert "hidden" not in str(caught.value)


def test_a_model_that_is_not_there_is_told_at_once(uri: str, caplog) -> None:
    for asked in ("models:/nothing@champion", "models:/nothing/3", f"runs:/{'0' * 32}/model"):
        with pytest.raises(ArtifactError, match="cannot be fetched"):
            fetch_model(asked, tracking_uri=uri)
    assert "asking again" not in caplog.text


def test_a_source_without_a_version_has_no_tag_of_one() -> None:
    assert ModelSource("runs:/ab/model", "runs:/ab/model", run_id="ab").tags() == {
        "recattn.job.model": "runs:/ab/model",
        "recattn.job.trained_by": "ab",
    }
