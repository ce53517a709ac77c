"""Tests of the figures of whole catalogs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import recattn as ra
from pipelines.benchmark.catalog_topk import main
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.synthetic import make_world


@pytest.fixture(scope="module")
def folder(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model`, fitted without the last interactions of `log.parquet`."""
    place = tmp_path_factory.mktemp("catalog")
    log = make_world(40, 30, mean_interactions=10, seed=1).interactions[["user_id", "item_id", "timestamp"]]
    log.to_parquet(place / "log.parquet")
    config = ModelConfig(dim=8, num_heads=2, num_layers=1, score="attention", max_history=12)
    model = ra.Recommender(config, TrainConfig(max_epochs=1, batch_size=16, precision="float32"))
    model.fit(
        ra.leave_last_out(log, time=config.time, ties=config.ties).train, items=log[["item_id"]].drop_duplicates()
    )
    model.save(place / "model")
    return place


def test_a_part_of_the_users_is_said_to_be_one(folder: Path, tmp_path: Path) -> None:
    names = ["--model", str(folder / "model"), "--log", str(folder / "log.parquet"), "--out", str(tmp_path)]
    assert main([*names, "--users", "20", "--sample", "15", "--k", "5"]) == 0
    found = json.loads((tmp_path / "catalog.json").read_text())
    everyone = pd.read_parquet(folder / "log.parquet")["user_id"].nunique()
    assert (found["users"], found["all_users"]) == (20, everyone)
    assert found["rows"] == 20 * 5
    assert found["seconds_for_all"] == pytest.approx(found["seconds"] * everyone / 20, abs=1.1)
    assert found["cascade"] is False  # 30 items are scored whole
    assert found["overlap_at_20"] == 1
    assert found["ndcg_at_20_loss"] == 0


def test_a_model_that_is_not_there_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(folder / "none"), "--log", str(folder / "log.parquet")]) == 1
    assert "error: " in capsys.readouterr().err
