"""A logged model, fetched as a Recommender."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from recattn.errors import ArtifactError
from recattn.tracking import load, track


@pytest.fixture
def run_id(uri: str, fake_model: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run of a model with the items 10 and 11, registered as `shelf`, alias `best`."""
    module = types.ModuleType("recattn.recommender")
    module.Recommender = fake_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "recattn.recommender", module)
    with track("load", tracking_uri=uri) as run:
        run.log_model(fake_model([10, 11]), registered_model_name="shelf")
    client = MlflowClient(uri)
    version = client.search_model_versions("name='shelf'")[0].version
    client.set_registered_model_alias("shelf", "best", version)
    return run.id


def test_a_model_comes_back_from_the_registry_or_its_run(run_id: str, uri: str) -> None:
    for where in ("models:/shelf@best", f"runs:/{run_id}/model"):
        model = load.load_logged_model(where, tracking_uri=uri)
        assert model.items.vocabulary.ids.tolist() == [10, 11]


def test_fetching_leaves_mlflow_and_the_environment_as_they_were(run_id: str, uri: str) -> None:
    before = dict(os.environ)
    load.load_logged_model("models:/shelf@best", tracking_uri=uri)
    assert dict(os.environ) == before
    assert not mlflow.is_tracking_uri_set()


@pytest.mark.parametrize("where", ["models:/shelf@worst", "models:/cellar/1", "runs:/0123/model"])
def test_a_model_that_is_not_there_is_told(run_id: str, uri: str, where: str) -> None:
    with pytest.raises(ArtifactError, match=f"{where} cannot be fetched from MLflow: .*not found"):
        load.load_logged_model(where, tracking_uri=uri)


def test_a_model_of_another_kind_is_refused(run_id: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "LOADER", "somebody.elses")
    with pytest.raises(ArtifactError, match=r"is no recattn model: MLflow loads it by 'recattn\.tracking\.pyfunc'"):
        load.load_logged_model("models:/shelf@best", tracking_uri=uri)
