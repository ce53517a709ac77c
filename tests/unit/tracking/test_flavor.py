"""The model in MLflow, logged and loaded."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.errors import ConfigError
from recattn.evaluation import Report
from recattn.tracking import flavor, track


@pytest.fixture
def model(fake_model: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types.ModuleType("recattn.recommender")
    module.Recommender = fake_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "recattn.recommender", module)
    return fake_model([10, 11, 12, 13])


@pytest.fixture
def logged(uri: str, model: Any) -> Iterator[Any]:
    report = Report({"ndcg_at_10": 0.25}, pd.DataFrame({"user_id": ["ann"]}), {"key": "user_id", "requests": 1})
    with track("flavor", tracking_uri=uri) as run:
        run.metrics({"valid/ndcg_at_10": 0.1}, step=0)
        run.metrics({"valid/ndcg_at_10": 0.3}, step=1)
        run.metrics({"valid/ndcg_at_10": 0.2}, step=2)
        run.log(report)
        info = run.log_model(model, registered_model_name="books")
        yield types.SimpleNamespace(run=run, info=info)


def test_a_logged_model_is_loaded_asked_and_traced_back(
    logged: Any, model: Any, client: MlflowClient, tmp_path: Path
) -> None:
    loaded = mlflow.pyfunc.load_model(logged.info.model_uri)
    asked = pd.DataFrame(
        {
            "history_items": [["10"], []],
            "history_times": [[1], []],
            "candidates": [["13", "11"], None],
        }
    )
    result = loaded.predict(asked, params={"k": 1})
    assert result["item_id"].tolist() == [["13", "11"], ["13"]]
    assert result["score"].tolist() == [pytest.approx([4.1, 2.1]), pytest.approx([4.0])]
    assert loaded.predict(asked[["history_items"]].tail(1))["item_id"].tolist() == [["13", "12", "11", "10"]]

    again = mlflow.pyfunc.load_model("models:/books/1").predict(asked, params={"k": 1})
    pd.testing.assert_frame_equal(again, result)

    files = list(Path(client.download_artifacts(logged.run.id, "")).rglob("*"))
    folder = Path(mlflow.artifacts.download_artifacts(logged.info.model_uri, dst_path=str(tmp_path)))
    files += list(folder.rglob("*"))
    assert [path for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib")] == []
    assert "python_model" not in (folder / "MLmodel").read_text()

    tags = client.get_run(logged.run.id).data.tags
    assert tags["recattn.vocabulary_sha256"] == model.items.vocabulary.digest[:16]
    assert tags["recattn.catalog_size"] == "4"
    metrics = {metric.key: metric.value for metric in client.get_logged_model(logged.info.model_id).metrics}
    assert metrics == {"valid/ndcg_at_10": 0.3, "test/ndcg_at_10": 0.25}
    assert len(client.get_metric_history(logged.run.id, "test/ndcg_at_10")) == 1


def test_the_model_asks_for_plain_versions(logged: Any) -> None:
    pins = flavor.requirements()
    assert [pin.split("==")[0] for pin in pins][:3] == ["recattn", "mlflow", "torch"]
    assert not any("+" in pin for pin in pins)


def test_ints_for_ids_are_refused_by_the_signature(logged: Any) -> None:
    loaded = mlflow.pyfunc.load_model(logged.info.model_uri)
    with pytest.raises(mlflow.MlflowException, match="history_items"):
        loaded.predict(pd.DataFrame({"history_items": [[10]]}))


def test_the_example_is_made_of_catalog_ids_alone(model: Any) -> None:
    example = flavor.input_example(model)
    ids = {item for name in ("history_items", "candidates") for row in example[name] for item in row}
    assert ids <= {"10", "11", "12", "13"}
    assert example["history_times"].map(len).tolist() == example["history_items"].map(len).tolist()


def test_the_example_fits_a_catalog_of_one_item(fake_model: Any) -> None:
    example = flavor.input_example(fake_model(["a"], time="order"))
    assert example["candidates"].tolist() == [["a"], ["a"]]
    assert "history_times" not in example


def test_a_model_that_knows_more_than_a_row_can_tell_warns(uri: str, model: Any) -> None:
    model.context_features = ("device",)
    with track("flavor", tracking_uri=uri) as run, pytest.warns(UserWarning, match="carry no user features, context"):
        run.log_model(model)


def test_a_model_is_logged_inside_its_block_only(uri: str, model: Any) -> None:
    with track("flavor", tracking_uri=uri) as run:
        pass
    with pytest.raises(ConfigError, match=r"is not active\. Call log_model inside its `with track"):
        run.log_model(model)
