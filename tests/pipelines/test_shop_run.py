"""The shop recipe from end to end, on generated worlds dressed as shops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipelines.shop.run import main
from recattn.dataset.synthetic import World, make_world

CONFIG = Path(__file__).parents[2] / "pipelines" / "shop" / "config.yaml"
SMALL = [
    *("--model.dim", "8", "--model.num_layers", "1", "--model.score", "attention"),
    *("--train.max_epochs", "1", "--train.valid_requests", "20"),
]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(60, 40, mean_interactions=8, days=60, seed=2)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    mlflow.set_tracking_uri(None)


def write(world: World, folder: Path) -> None:
    """The world as reviews in milliseconds beside metadata with prices as text."""
    ours = {"user_id": "reviewerID", "item_id": "asin", "event_type": "behavior", "timestamp": "unixReviewTime"}
    log = world.interactions.assign(timestamp=1000 * world.interactions["timestamp"], overall=5.0).rename(columns=ours)
    log.to_json(folder / "reviews_World_5.json.gz", orient="records", lines=True)
    items = world.items.assign(
        price="$" + world.items["price"].round(2).astype(str),
        brand=world.items["series"],
        categories=[[["All", genre] for genre in row.split("|")] for row in world.items["genres"]],
        salesRank=1,
    )
    items = items.rename(columns={"item_id": "asin"})[["asin", "title", "price", "brand", "categories", "salesRank"]]
    items.to_json(folder / "meta_World.json", orient="records", lines=True)


def only_run(uri: str, experiment: str) -> Run:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    return run


def table(run: Run, path: str, uri: str) -> pd.DataFrame:
    kept = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{path}", tracking_uri=uri)
    return pd.DataFrame(**json.loads(Path(kept).read_text()))


def test_a_folder_becomes_an_mlflow_run_with_model_comparison_and_segments(
    world: World, tmp_path: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(world, tmp_path)
    given = ["--config", str(CONFIG), "--data", str(tmp_path), "--tracking_uri", uri, "--category_levels", "1", *SMALL]
    assert main(given) == 0
    run = only_run(uri, "shop")
    assert run.info.status == "FINISHED"
    assert run.data.params["model.features"] == "categories,brand,price"
    names = table(run, "comparison.json", uri)["recommender"].tolist()
    assert names == ["recattn", "popularity", "item_knn", "transition"]
    assert all(0 <= run.data.metrics[f"test_{name}/ndcg_at_10"] <= 1 for name in names[1:])

    segments = table(run, "segments.json", uri)
    for by in ("history", "target"):
        rows = segments[segments["by"] == by]
        mean = (rows["recattn"] * rows["requests"]).sum() / rows["requests"].sum()
        assert mean == pytest.approx(run.data.metrics["test/ndcg_at_10"])
    assert set(segments.loc[segments["by"] == "target", "segment"]) <= {"known", "cold"}

    client = MlflowClient(uri)
    kept = {one.path for folder in ("figures", "tables") for one in client.list_artifacts(run.info.run_id, folder)}
    pictures = {f"figures/{name}.png" for name in ("comparison", "segments", "learning_curve")}
    assert kept == pictures | {"tables/sample_recommendations.json"}
    shown = capsys.readouterr().out
    assert "unixReviewTime is read as ms" in shown
    assert "left out, measured after the interactions: salesRank" in shown
    assert run.info.run_id in shown


def test_settings_can_be_chosen_on_validation_without_a_test_metric(world: World, tmp_path: Path, uri: str) -> None:
    write(world, tmp_path)
    given = ["--data", str(tmp_path), "--tracking_uri", uri, "--experiment", "choose", "--part", "valid", *SMALL]
    assert main([*given, "--item_features", "[]"]) == 0
    run = only_run(uri, "choose")
    assert run.data.params["model.features"] == "none"
    assert 0 <= run.data.metrics["validation/ndcg_at_10"] <= 1
    assert not [name for name in run.data.metrics if name.startswith("test")]


def test_leave_last_out_is_noted_as_such(world: World, tmp_path: Path, uri: str) -> None:
    write(world, tmp_path)
    (tmp_path / "meta_World.json").unlink()
    given = ["--data", str(tmp_path), "--tracking_uri", uri, "--experiment", "last", "--split", "leave_last_out"]
    assert main([*given, *SMALL]) == 0
    assert only_run(uri, "last").data.tags["recattn.test.split"] == "leave_last_out"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--item_features", "[salesRank]"], "would leak the future"),
        (["--item_features", "[{kind: numeric, column: weight}]"], "no column 'weight' for a feature"),
        (["--part", "valid", "--refit", "true"], "refit trains on the validation part"),
    ],
)
def test_what_cannot_be_is_an_error_without_a_traceback(
    given: list[str], told: str, world: World, tmp_path: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(world, tmp_path)
    assert main(["--data", str(tmp_path), "--tracking_uri", uri, *given]) == 1
    assert told in capsys.readouterr().err
