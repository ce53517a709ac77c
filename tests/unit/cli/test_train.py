from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from recattn.recommender import Recommender


@pytest.fixture
def config(files: Path, tmp_path: Path) -> Path:
    settings = {
        "interactions": str(files / "interactions.parquet"),
        "items": str(files / "items.parquet"),
        "users": str(files / "users.parquet"),
        "out": "model",
        "item_features": [{"kind": "multi", "column": "genres"}, {"kind": "numeric", "column": "price", "log": True}],
        "user_features": [{"kind": "categorical", "column": "country"}],
        "model": {"dim": 16, "num_layers": 1, "max_history": 20},
        "train": {"max_epochs": 1, "seed": 3},
        "baselines": ["popularity", {"kind": "popularity", "window": "30D"}],
        "tracking": {"enabled": False},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "c.yaml"


def test_a_config_trains_judges_and_saves_a_model(recattn, config: Path) -> None:
    done = recattn("train", "--config", config, "--model.dim", "8")
    assert done.status == 0, done.err
    rows = [line.split()[0] for line in done.out.splitlines() if " 0." in line]
    assert rows[:3] == ["recattn", "popularity", "popularity"]
    assert "popularity 30D" in done.out
    assert "Novelty" not in done.out  # which the run of MLflow has
    assert "epoch 1: loss" in done.err
    assert "recattn recommend --model model" in done.out
    model = Recommender.load("model")
    assert (model.config.dim, model.train_config.seed, len(model.item_features)) == (8, 3, 2)


def test_a_store_trains_as_well_and_another_split_may_be_taken(recattn, tiny, files: Path) -> None:
    assert recattn("prepare", files / "interactions.parquet", "--out", "store").status == 0
    ask = ("train", "--interactions", "store", "--out", "model", *tiny, "--tracking.enabled=false", "--overwrite")
    done = recattn(*ask, "--split.kind", "leave_last_out", "--clean.user_min", "3", "--baselines", "item_knn,recency")
    assert done.status == 0, done.err
    assert "leaks=True" in done.err
    assert "cleaned train" in done.err
    everything = recattn(*ask, "--split.kind", "none")
    assert everything.status == 0, everything.err
    assert "NDCG" not in everything.out


def test_the_same_config_gives_the_same_model(recattn, config: Path) -> None:
    for out in ("one", "two"):
        assert recattn("train", "--config", config, "--out", out, "--split.kind=none").status == 0
    hashes = [json.loads(Path(out, "manifest.json").read_text())["parts"] for out in ("one", "two")]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--train.max_epochs", "0"], 2, "TrainConfig.max_epochs must be at least 1, got 0"),
        (["--k", "0"], 2, "k must be a whole number of at least 1, got 0"),
        (["--baselines", "popularty"], 2, "Did you mean 'popularity'"),
        (["--item_features", "[{kind: mutli, column: genres}]"], 2, "Did you mean 'multi'"),
        (["--item_features", "[{kind: multi, column: genre}]"], 1, "genre"),
        (["--interactions", "nowhere.parquet"], 1, "no file or folder 'nowhere.parquet'"),
        (["--out", "no/model"], 1, "there is no folder"),
        (["--resume"], 2, "checkpoint_dir"),
        (["--baselines", "[{kind: popularity, window: soon}]"], 2, "soon"),
        (["--split.valid_from", "2030-01-01"], 1, "valid_from"),
    ],
)
def test_a_mistake_is_told_before_any_training(
    recattn, config: Path, given: list[str], status: int, message: str
) -> None:
    done = recattn("train", "--config", config, *given)
    assert (done.status, message in done.err) == (status, True), done.err
    assert "Traceback" not in done.err
    assert "epoch 1" not in done.err
    assert not Path("model").exists()


def test_a_model_folder_is_replaced_only_when_asked(recattn, config: Path) -> None:
    Path("model").mkdir()
    done = recattn("train", "--config", config)
    assert (done.status, "model already exists. Pass --overwrite" in done.err) == (1, True)


def test_a_fit_goes_on_from_its_checkpoints(recattn, config: Path) -> None:
    ask = ("train", "--config", config, "--checkpoint_dir", "kept", "--overwrite", "--baselines", "[]")
    assert recattn(*ask).status == 0
    again = recattn(*ask)
    assert (again.status, "Pass --resume" in again.err) == (2, True)
    more = recattn(*ask, "--resume", "--train.max_epochs", "2")
    assert more.status == 0, more.err
    assert "epoch 2: loss" in more.err
    assert "epoch 1: loss" not in more.err


def test_context_columns_of_the_log_are_features(recattn, config: Path, files: Path) -> None:
    log = pd.read_parquet(files / "interactions.parquet")
    log.assign(device=["phone", "desk"] * (len(log) // 2) + ["phone"] * (len(log) % 2)).to_parquet("log.parquet")
    given = ["--interactions", "log.parquet", "--context_features", "[{kind: categorical, column: device}]"]
    assert recattn("train", "--config", config, *given, "--baselines", "[]").status == 0
    assert [spec.column for spec in Recommender.load("model").context_features] == ["device"]
