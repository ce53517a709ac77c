"""The seeds benchmark of the demo, on a tiny world."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from pipelines.benchmark.demo_seeds import run, shuffled

SMALL = {
    "size": {"n_users": 60, "n_items": 40, "mean_interactions": 12.0, "days": 60.0},
    "training": {"max_epochs": 1},
}


def test_a_finished_cell_is_never_run_twice(tmp_path: Path) -> None:
    first = run([0, 1], plain=False, folder=tmp_path, **SMALL)
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    again = run([0, 1], plain=False, folder=tmp_path, **SMALL)
    assert stamps == {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert first.equals(again)
    assert set(first["recommender"]) >= {"oracle", "popularity", "target attention", "shuffled histories"}
    assert json.loads((tmp_path / "default-seed0.json").read_text())["train"] == {"max_epochs": 1}


def test_shuffling_keeps_each_users_items_and_moments() -> None:
    train = pd.DataFrame({"user_id": list("abab"), "item_id": [1, 2, 3, 4], "timestamp": [1, 2, 3, 4]})
    mixed = shuffled(train, seed=3)
    assert mixed.groupby("user_id")["item_id"].apply(sorted).to_dict() == {"a": [1, 3], "b": [2, 4]}
    assert mixed["timestamp"].tolist() == [1, 2, 3, 4]
    assert train["item_id"].tolist() == [1, 2, 3, 4]
