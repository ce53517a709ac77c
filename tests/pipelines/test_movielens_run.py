"""The MovieLens recipe from end to end, on generated worlds dressed as MovieLens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipelines.movielens.read import read_movielens
from pipelines.movielens.run import main, specs
from recattn.dataset.synthetic import World, make_world

CONFIG = Path(__file__).parents[2] / "pipelines" / "movielens" / "config.yaml"
SMALL = ["--model.dim", "8", "--model.num_layers", "1", "--train.max_epochs", "1", "--train.valid_requests", "20"]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(60, 40, mean_interactions=8, days=60, seed=2)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    mlflow.set_tracking_uri(None)


def write(world: World, folder: Path, *, order_only: bool = False) -> None:
    """The world as tidy Parquet with the columns of MovieLens."""
    log = world.interactions.assign(rating=4)
    if order_only:
        log["timestamp"] = log.groupby("user_id").cumcount()
    log.drop(columns="event_type").to_parquet(folder / "interactions.parquet")
    world.items[["item_id", "title", "genres", "year"]].to_parquet(folder / "items.parquet")
    world.users.rename(columns={"country": "occupation"}).to_parquet(folder / "users.parquet")


def test_a_folder_becomes_an_mlflow_run_with_model_and_comparison(
    world: World, tmp_path: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(world, tmp_path)
    given = ["--config", str(CONFIG), "--data", str(tmp_path), "--tracking_uri", uri, "--run_name", "small", *SMALL]
    assert main(given) == 0
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("movielens")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "small")
    assert run.data.params["model.dim"] == "8"
    assert run.data.params["model.features"] == "genres,year,age,occupation"
    for prefix in ("test", "test_popularity", "test_item_knn", "test_transition"):
        assert 0 <= run.data.metrics[f"{prefix}/ndcg_at_10"] <= 1
    kept = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/comparison.json", tracking_uri=uri)
    table = json.loads(Path(kept).read_text())
    assert pd.DataFrame(**table)["recommender"].tolist() == ["recattn", "popularity", "item_knn", "transition"]
    assert len(client.search_logged_models([experiment.experiment_id])) == 1
    shown = capsys.readouterr().out
    assert "time='timestamp'" in shown
    assert run.info.run_id in shown


def test_order_only_data_is_judged_on_last_interactions(world: World, tmp_path: Path, uri: str) -> None:
    write(world, tmp_path, order_only=True)
    assert (
        main(["--data", str(tmp_path), "--tracking_uri", uri, "--experiment", "order", "--features", "false", *SMALL])
        == 0
    )
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("order")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["model.time"] == "order"
    assert run.data.params["model.ties"] == "order"
    assert run.data.params["model.features"] == "none"
    assert run.data.tags["recattn.test.split"] == "leave_last_out"


def test_features_are_those_the_folder_has(world: World, tmp_path: Path) -> None:
    write(world, tmp_path)
    (tmp_path / "users.parquet").unlink()
    items, users = specs(read_movielens(tmp_path))
    assert [spec.column for spec in items] == ["genres", "year"]
    assert users == []


def test_a_folder_without_data_is_an_error_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 1
    assert "error: " in capsys.readouterr().err


def test_an_unknown_setting_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--data", str(tmp_path), "--train.max_epoch", "3"])
    assert stop.value.code == 2
    assert "max_epoch" in capsys.readouterr().err
