"""The model in MLflow, saved, logged and loaded."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from recattn.errors import ArtifactError, ConfigError
from recattn.evaluation import Report
from recattn.recommender import Recommender
from recattn.tracking import flavor, golden, pyfunc, track
from recattn.tracking.datasets import frame_digest

ASKED = pd.DataFrame(
    {"history_items": [["i00", "i01"], []], "history_times": [[1, 2], []], "candidates": [["i03", "i05"], None]}
)
LOG = pd.DataFrame({"user_id": ["ann"], "item_id": ["i00"], "timestamp": [1]})


@pytest.fixture(scope="module")
def folder(plain: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `save_model` writes."""
    path = tmp_path_factory.mktemp("saved") / "model"
    flavor.save_model(plain, path, metrics={"ndcg_at_10": 0.5}, data_digest="abc", metadata={"team": "books"})
    return path


@pytest.fixture(scope="module")
def logged(plain: Recommender, database: str) -> Iterator[Any]:
    """A run with curves, a report, a dataset and a registered model."""
    mlflow.set_tracking_uri(None)
    report = Report({"ndcg_at_10": 0.25}, pd.DataFrame({"user_id": ["ann"]}), {"key": "user_id", "requests": 1})
    with track("flavor", tracking_uri=database) as run:
        for epoch, value in enumerate([0.1, 0.3, 0.2]):
            run.metrics({"valid/ndcg_at_10": value}, step=epoch)
        run.dataset("train", LOG)
        run.log(report)
        info = run.log_model(plain, registered_model_name="books")
    return types.SimpleNamespace(run=run, info=info)


@pytest.fixture
def here(uri: str) -> None:
    """MLflow pointed at the database."""
    mlflow.set_tracking_uri(uri)


def test_a_saved_model_has_both_flavors_and_says_what_it_is(folder: Path, plain: Recommender) -> None:
    saved = Model.load(str(folder))
    assert saved.flavors["recattn"]["data"] == saved.flavors["python_function"]["data"] == "data/recommender"
    assert saved.flavors["python_function"]["loader_module"] == "recattn.tracking.flavor"
    assert saved.metadata == {
        "catalog_size": 12,
        "vocabulary_sha256": plain.items.vocabulary.digest,
        "training_data_digest": "abc",
        "metrics": {"ndcg_at_10": 0.5},
        "team": "books",
    }
    assert [name for name in saved.get_params_schema().to_dict() if name["name"] == "explain"] != []
    files = [path.name for path in folder.rglob("*")]
    assert not any(name.endswith((".pkl", ".pickle", ".pt", ".pth", ".joblib")) for name in files)
    assert golden.FILE in files


def test_both_doors_open_a_saved_folder_to_the_same_scores(folder: Path, plain: Recommender) -> None:
    function = mlflow.pyfunc.load_model(str(folder))
    result = function.predict(ASKED, params={"k": 3, "explain": 1})
    expected = pyfunc.RequestScorer(plain).predict(ASKED, {"k": 3, "explain": 1})
    pd.testing.assert_frame_equal(result, expected)
    slate = pd.DataFrame({"user_id": "ann", "item_id": ["i03", "i05"], "timestamp": 9})
    again = flavor.load_model(str(folder)).score(slate, history=LOG)
    pd.testing.assert_frame_equal(again, plain.score(slate, history=LOG))


def test_a_logged_model_has_what_its_run_knows(logged: Any, plain: Recommender, client: MlflowClient) -> None:
    metadata = logged.info.metadata
    assert metadata["training_data_digest"] == frame_digest(LOG)
    assert metadata["metrics"] == {"valid/ndcg_at_10": 0.2, "test/ndcg_at_10": 0.25}
    tags = client.get_run(logged.run.id).data.tags
    assert tags["recattn.vocabulary_sha256"] == plain.items.vocabulary.digest[:16]
    assert tags["recattn.catalog_size"] == "12"
    metrics = {metric.key: metric.value for metric in client.get_logged_model(logged.info.model_id).metrics}
    assert metrics == {"valid/ndcg_at_10": 0.3, "test/ndcg_at_10": 0.25}
    assert len(client.get_metric_history(logged.run.id, "test/ndcg_at_10")) == 1


def test_the_registry_gives_it_back_by_alias(logged: Any, client: MlflowClient, here: None) -> None:
    version = client.search_model_versions("name='books'")[0].version
    client.set_registered_model_alias("books", "champion", version)
    for where in ("models:/books@champion", logged.info.model_uri, f"runs:/{logged.run.id}/model"):
        assert flavor.load_model(where).items.vocabulary.ids[0] == "i00"
    assert mlflow.pyfunc.load_model("models:/books@champion").predict(ASKED)["item_id"][0] == ["i03", "i05"]


def test_a_model_logged_before_the_flavor_still_loads(plain: Recommender, tmp_path: Path) -> None:
    plain.save(tmp_path / "recommender")
    mlflow.pyfunc.save_model(
        path=str(tmp_path / "old"),
        loader_module="recattn.tracking.pyfunc",
        data_path=str(tmp_path / "recommender"),
        pip_requirements=["recattn"],
    )
    assert flavor.load_model(str(tmp_path / "old")).items.vocabulary.ids[0] == "i00"
    assert mlflow.pyfunc.load_model(str(tmp_path / "old")).predict(ASKED)["item_id"][0] == ["i03", "i05"]


@pytest.mark.parametrize("door", [flavor.load_model, mlflow.pyfunc.load_model])
def test_other_scores_than_when_saved_are_refused_at_every_door(plain: Recommender, tmp_path: Path, door: Any) -> None:
    flavor.save_model(plain, tmp_path / "model")
    path = tmp_path / "model" / "data" / "recommender" / golden.FILE
    frame = pd.read_parquet(path)
    frame["golden_score"] = [row + 0.5 for row in frame["golden_score"]]
    frame.to_parquet(path)
    with pytest.raises(ArtifactError, match=r"does not give .*Now: torch .*device cpu, dtype float32"):
        door(str(tmp_path / "model"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": "x"}, "'k': long"),
        ({"exclude_seen": 3}, "'exclude_seen': boolean"),
        ({"explain": 0.5}, "'explain': long"),
    ],
)
def test_parameters_of_another_type_are_refused_by_the_signature(folder: Path, params: Any, message: str) -> None:
    with pytest.raises(mlflow.MlflowException, match=message):
        mlflow.pyfunc.load_model(str(folder)).predict(ASKED, params=params)


def test_parameters_out_of_range_are_refused_by_the_model(folder: Path) -> None:
    with pytest.raises(mlflow.MlflowException, match="k must be a whole number of at least 1, got 0"):
        mlflow.pyfunc.load_model(str(folder)).predict(ASKED, params={"k": 0})


def test_ints_for_ids_are_refused_by_the_signature(folder: Path) -> None:
    with pytest.raises(mlflow.MlflowException, match="history_items"):
        mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"history_items": [[10]]}))


def test_the_model_asks_for_plain_versions(folder: Path, plain: Recommender, tmp_path: Path) -> None:
    pins = flavor.get_default_pip_requirements()
    assert [pin.split("==")[0] for pin in pins][:3] == ["recattn", "mlflow", "torch"]
    assert not any("+" in pin for pin in pins)
    assert flavor.get_default_conda_env()["dependencies"][-1] == {"pip": pins}
    assert set((folder / "requirements.txt").read_text().splitlines()) == set(pins)
    flavor.save_model(plain, tmp_path / "more", extra_pip_requirements=["books==1"])
    assert set((tmp_path / "more" / "requirements.txt").read_text().splitlines()) == {*pins, "books==1"}


def test_the_example_is_made_of_catalog_ids_alone(plain: Recommender) -> None:
    example = flavor.example(plain)
    ids = {item for name in ("history_items", "candidates") for row in example[name] for item in row}
    assert ids <= set(plain.items.vocabulary.ids)
    assert example["history_times"].map(len).tolist() == example["history_items"].map(len).tolist()


@pytest.mark.filterwarnings("ignore:the model was fitted with", "ignore:the requests have none")
def test_a_model_that_knows_more_than_a_row_can_tell_warns(rich: Recommender, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="carry no user features, context"):
        flavor.save_model(rich, tmp_path / "model")


def test_a_model_is_logged_inside_its_block_only(uri: str, plain: Recommender) -> None:
    with track("flavor", tracking_uri=uri) as run:
        pass
    with pytest.raises(ConfigError, match=r"is not active\. Call log_model inside its `with track"):
        run.log_model(plain)
