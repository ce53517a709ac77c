from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from recattn.cli import demo
from recattn.cli.kinds import BIAS

SIZE = {"n_users": 60, "n_items": 40, "mean_interactions": 14.0, "days": 180.0}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """The folder of a demo on a tiny world, with its table."""
    folder = tmp_path_factory.mktemp("demo") / "recattn-demo"
    return folder, demo.play(str(folder), 0, {"max_epochs": 1}, SIZE)


@pytest.fixture
def uri(played: tuple[Path, pd.DataFrame]) -> Iterator[str]:
    yield f"sqlite:///{played[0]}/mlflow.db"
    mlflow.set_tracking_uri(None)


def test_the_demo_writes_everything_under_its_folder(played: tuple[Path, pd.DataFrame]) -> None:
    folder, _ = played
    names = {path.name for path in folder.iterdir()}
    assert {"candidates.csv", "scores.csv", "mlflow.db", "mlartifacts", "model", "train.yaml"} <= names
    scores = pd.read_csv(folder / "scores.csv")
    assert scores["score"].notna().all()
    assert len(scores) == len(pd.read_csv(folder / "candidates.csv"))


def test_the_demo_sets_its_models_between_baselines_and_oracle(played: tuple[Path, pd.DataFrame]) -> None:
    table = played[1].set_index("recommender")
    assert list(table.index) == ["popularity", "recency", "item_knn", *demo.RUNS, "oracle"]
    assert table.loc["popularity", "way to oracle"] == "0%"
    assert table.loc["oracle", "way to oracle"] == "100%"
    assert list(table) == ["NDCG@10", "Recall@10", "way to oracle"]
    assert table.loc["oracle", "NDCG@10"] == table["NDCG@10"].max()


def test_the_demo_logs_two_runs_of_one_experiment(uri: str) -> None:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("recattn-demo")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == set(demo.RUNS)
    for run in runs:
        assert run.info.status == "FINISHED"
        assert {"test/ndcg_at_10", "test_oracle/ndcg_at_10", "test/way_to_oracle"} <= set(run.data.metrics)
        bias = {f"{prefix}/{stem}_at_10" for prefix in ("test", "test_popularity") for stem in BIAS}
        assert bias <= set(run.data.metrics)


def test_its_config_trains_into_the_same_mlflow_and_the_model_comes_back_from_there(
    recattn, tiny, played: tuple[Path, pd.DataFrame], uri: str
) -> None:
    folder = played[0]
    name = ["--tracking.registered_model_name", "tiny", "--tracking.run_name", "from files"]
    place = ["--out", "model", "--tracking.tracking_uri", uri]
    done = recattn("train", "--config", folder / "train.yaml", *tiny, *name, *place)
    assert done.status == 0, done.err
    assert f"mlflow ui --backend-store-uri {uri}" in done.out
    ask = ["--history", folder / "interactions.parquet", "--slate", folder / "candidates.csv"]
    local = recattn("score", "--model", "model", *ask)
    logged = recattn("score", "--model", "models:/tiny/1", "--tracking_uri", uri, *ask)
    assert (logged.status, logged.out) == (0, local.out)
    missing = recattn("score", "--model", "models:/tidy@best", "--tracking_uri", uri, *ask)
    assert missing.status == 1
    assert "models:/tidy@best cannot be fetched from MLflow" in missing.err


def test_a_folder_of_something_else_is_left_alone(recattn, tmp_path: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").touch()
    done = recattn("demo", "--out", "mine")
    assert (done.status, "the folder mine holds something else" in done.err) == (1, True)


@pytest.mark.parametrize("given", [["--epochs", "0"], ["--seed", "-1"]])
def test_impossible_numbers_are_refused(recattn, given: list[str]) -> None:
    done = recattn("demo", *given)
    assert (done.status, "must be at least" in done.err) == (2, True)
    assert not Path("recattn-demo").exists()
