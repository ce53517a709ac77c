from __future__ import annotations

import io
from pathlib import Path

import pandas as pd


def test_past_interactions_are_shown_by_what_they_moved(recattn, model: Path, files: Path) -> None:
    pd.read_csv(files / "candidates.csv").head(2).to_csv("two.csv", index=False)
    history = files / "interactions.parquet"
    done = recattn("explain", "--model", model, "--history", history, "--slate", "two.csv", "--top", "2")
    found = pd.read_csv(io.StringIO(done.out))
    assert found["row"].tolist() == [0, 0, 1, 1]
    log = pd.read_parquet(history)
    mine = log[log["user_id"] == found["user_id"].iloc[0]]
    assert set(found["history_item_id"]) <= set(mine["item_id"])


def test_nothing_at_the_top_is_refused(recattn, model: Path, files: Path) -> None:
    ask = ["--model", model, "--history", files / "interactions.parquet", "--slate", files / "candidates.csv"]
    done = recattn("explain", *ask, "--top", "0")
    assert (done.status, "at least 1, got 0" in done.err) == (2, True)
