"""`recattn tune` as people type it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from recattn.cli.arguments import parse
from recattn.cli.kinds import features
from recattn.cli.main import FAILED, MISUSED, OK
from recattn.cli.tune import run
from recattn.config import Multi
from recattn.tuning import check
from tests.unit.cli.conftest import Result, call

SPACE = {"model.dim": {"choices": [4, 8]}, "train.learning_rate": {"low": 0.001, "high": 0.1, "log": True}}


def settings(files: Path, folder: Path) -> dict[str, Any]:
    return {
        "interactions": str(files / "interactions.parquet"),
        "items": str(files / "items.parquet"),
        "out": str(folder / "search"),
        "space": SPACE,
        "trials": 2,
        "threads": 1,
        "item_features": [{"kind": "multi", "column": "genres"}],
        "model": {"num_layers": 1, "max_history": 20},
        "train": {"max_epochs": 1, "seed": 3},
        "baselines": ["popularity"],
        "tracking": {"experiment": "books", "tracking_uri": f"sqlite:///{folder}/mlflow.db"},
    }


def write(folder: Path, values: dict[str, Any]) -> Path:
    (folder / "c.yaml").write_text(yaml.safe_dump(values))
    return folder / "c.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tune")


@pytest.fixture(scope="module")
def done(files: Path, folder: Path) -> tuple[Result, Result]:
    """Two trials; then a third with the winner's fit."""
    config = write(folder, settings(files, folder))
    return call("tune", "--config", config), call("tune", "--config", config, "--trials", 3, "--fit")


def kept(folder: Path) -> tuple[Any, list[Any]]:
    """The search's run, and those below it by the time they began."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    place = client.get_experiment_by_name("books")
    assert place is not None
    found = client.search_runs([place.experiment_id], order_by=["attributes.start_time"])
    [parent] = [one for one in found if "mlflow.parentRunId" not in one.data.tags]
    below = [one for one in found if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(found) == 1 + len(below)
    return parent, below


def test_a_search_tells_its_best_and_leaves_files(done: tuple[Result, Result], folder: Path) -> None:
    first, second = done
    assert (first.status, second.status) == (OK, OK), first.err + second.err
    assert "2 complete of 2 trials" in first.out
    assert f"recattn train --config {folder}/search/best.yaml" in first.out
    assert "trial 1: 0." in first.err
    assert "study 'recattn' has 2 of 3 trials already" in second.err
    assert "trial 0" not in second.err
    assert "test part" in second.out
    assert "test part," not in first.out
    assert len(pd.read_csv(folder / "search/trials.csv")) == 3
    assert {"best.yaml", "model", "search.png", "study.db"} <= {path.name for path in (folder / "search").iterdir()}


def test_the_best_settings_are_a_config_of_train(done: tuple[Result, Result], folder: Path) -> None:
    best = yaml.safe_load((folder / "search/best.yaml").read_text())
    trials = pd.read_csv(folder / "search/trials.csv")
    winner = trials.loc[trials["value"].idxmax()]
    assert (best["model"]["dim"], best["train"]["learning_rate"]) == tuple(winner[list(SPACE)])
    assert best["tracking"]["tracking_uri"] is None
    assert not {"space", "trials", "threads"} & set(best) - {"threads"}
    fitted = json.loads((folder / "search/model/config.json").read_text())
    again = call("train", "--config", folder / "search/best.yaml", "--overwrite", "--tracking.enabled=false")
    assert again.status == OK, again.err
    assert json.loads((folder / "search/model/config.json").read_text()) == fitted


def test_each_trial_is_a_run_below_that_of_the_search(done: tuple[Result, Result], folder: Path) -> None:
    parent, below = kept(folder)
    assert (parent.info.run_name, parent.info.status) == ("recattn", "FINISHED")
    assert [one.info.run_name for one in below] == ["recattn 0", "recattn 1", "recattn 2", "recattn winner"]
    assert {one.info.status for one in below} == {"FINISHED"}
    trials, winner = below[:3], below[3]
    best = max(trials, key=lambda one: one.data.metrics["valid/ndcg_at_10"])
    assert parent.data.tags["recattn.best_run_id"] == best.info.run_id
    assert not any(name.startswith("test/") for one in [parent, *trials] for name in one.data.metrics)
    assert {"test/ndcg_at_10", "test_popularity/ndcg_at_10"} <= set(winner.data.metrics)
    assert winner.data.params["model.dim"] == best.data.params["model.dim"]


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--space", "{model.dimm: {choices: [8]}}"], MISUSED, "Did you mean 'model.dim'"),
        (["--space", "{}"], MISUSED, "space must name the settings to search"),
        (["--trials", "0"], MISUSED, "trials must be a whole number of at least 1, got 0"),
        (["--metric", "ndcg_at_1"], MISUSED, "metric must be one of ndcg_at_10"),
        (["--sampler", "tpee"], MISUSED, "Did you mean 'tpe'"),
        (["--pruner", "{kind: median, warmup: 3}"], MISUSED, "Did you mean 'warmup_epochs'"),
        (["--split.kind", "none"], MISUSED, "a search needs a validation part"),
        (["--interactions", "nowhere.csv"], FAILED, "no file or folder 'nowhere.csv'"),
        (["--out", "no/search"], FAILED, "there is no folder"),
        (["--storage", "no/study.db"], FAILED, "there is no folder"),
    ],
)
def test_a_mistake_is_told(recattn, files: Path, given: list[str], status: int, message: str) -> None:
    values = settings(files, Path.cwd()) | {"tracking": {"enabled": False}}
    found = recattn("tune", "--config", write(Path.cwd(), values), *given)
    assert (found.status, message in found.err) == (status, True), found.err
    assert "Traceback" not in found.err


def test_a_folder_of_other_things_is_not_written_to(recattn, files: Path) -> None:
    Path("search").mkdir()
    Path("search/manifest.json").write_text("{}")
    found = recattn("tune", "--config", write(Path.cwd(), settings(files, Path.cwd())))
    assert (found.status, "search already exists and holds no search" in found.err) == (FAILED, True)


def test_the_example_is_a_config_of_tune() -> None:
    example = Path(__file__).parents[3] / "pipelines/movielens/tune.yaml"
    asked = parse("tune", run, ["ratings.csv", "--config", str(example)])
    assert asked["columns"].mapping() == {"user_id": "userId", "item_id": "movieId"}
    space = check(asked["space"], asked["model"], asked["train"], metric=asked["metric"], trials=asked["trials"])
    assert {one.name for one in space.dimensions} >= {"model.dim", "train.learning_rate"}
    assert features(asked["item_features"], "item_features") == [Multi("genres")]
