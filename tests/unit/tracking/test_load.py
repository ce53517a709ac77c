"""A logged model, fetched as a Recommender."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from recattn.errors import ArtifactError
from recattn.recommender import Recommender
from recattn.tracking import flavor, load, track


@pytest.fixture(scope="module")
def run_id(database: str, plain: Recommender) -> str:
    """The run of a model registered as `shelf`, alias `best`."""
    mlflow.set_tracking_uri(None)
    with track("load", tracking_uri=database) as run:
        run.log_model(plain, registered_model_name="shelf")
    client = MlflowClient(database)
    version = client.search_model_versions("name='shelf'")[0].version
    client.set_registered_model_alias("shelf", "best", version)
    return run.id


def test_a_model_comes_back_from_the_registry_or_its_run(run_id: str, uri: str, plain: Recommender) -> None:
    for where in ("models:/shelf@best", f"runs:/{run_id}/model"):
        model = load.load_logged_model(where, tracking_uri=uri)
        assert model.items.vocabulary == plain.items.vocabulary


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
    monkeypatch.setattr(flavor, "LOADERS", ("somebody.elses",))
    with pytest.raises(ArtifactError, match=r"is no recattn model: MLflow loads it by 'recattn\.tracking\.flavor'"):
        load.load_logged_model("models:/shelf@best", tracking_uri=uri)


def test_a_folder_without_a_model_is_told(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be fetched from MLflow"):
        load.load_logged_model(str(tmp_path), tracking_uri=uri)
