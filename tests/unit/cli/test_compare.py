"""`recattn compare` as people type it, on an MLflow of its own."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.cli.main import FAILED, MISUSED, OK, main
from recattn.evaluation import MRR, NDCG, Report, evaluate
from recattn.tracking import track
from recattn.tracking.contenders import TAG

USERS = 120


def truth() -> pd.DataFrame:
    users = np.arange(USERS)
    items = [f"item {user % 20}" for user in users]
    return pd.DataFrame({"request_id": users + 1000, "user_id": users, "item_id": items})


def lists(found: float, seed: int) -> pd.DataFrame:
    """Lists of two, the target first for a share `found` of users."""
    hits = np.random.default_rng(seed).random(USERS) < found
    first = truth().assign(rank=1, score=2.0)
    first["item_id"] = first["item_id"].where(hits, "wrong")
    return pd.concat([first, first.assign(item_id="second", rank=2, score=1.0)], ignore_index=True)


def judged(recommendations: pd.DataFrame, ties: str = "exclude") -> Report:
    segments = truth()[["request_id"]].assign(history_length=np.arange(USERS) % 12)
    return evaluate(recommendations, truth(), [NDCG(2), MRR(2)], segments=segments, policy={"ties": ties})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with runs `weak`, `strong` (two seeds) and `other` (other rules)."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    sides = [("weak", 0.2, 0, 32), ("strong", 0.8, 1, 64), ("strong too", 0.7, 2, 64)]
    for name, found, seed, dim in sides:
        with track("shelf", name, tracking_uri=uri) as run:
            run.params({"model.dim": dim, "train.seed": seed})
            run.artifact("config.json", {"model": {"dim": dim}, "train": {"seed": seed}})
            run.metrics({"valid/ndcg_at_2": found / 2}, step=0)
            run.metrics({"valid/ndcg_at_2": found, "cost/fit_seconds": 10.0 * dim}, step=1)
            run.log(judged(lists(found, seed)), recommendations=lists(found, seed))
    with track("shelf", "other", tracking_uri=uri) as run:
        run.log(judged(lists(0.5, 3), ties="order"))
    mlflow.set_tracking_uri(None)
    return uri


def test_runs_are_compared_in_the_terminal_as_json_and_as_a_page(
    shelf: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, figures = tmp_path / "c.html", tmp_path / "c.json"
    asked = ["compare", "weak", "strong", "strong too", "--tracking_uri", shelf]
    assert main([*asked, f"--out.html={html}", f"--out.json={figures}"]) == OK
    said = capsys.readouterr().out
    assert "NDCG@2 against weak: 120 requests, 120 users" in said
    assert "better" in said
    read = json.loads(figures.read_text())
    assert [(one["contender"], one["seeds"]) for one in read["contenders"]] == [("weak", 1), ("strong", 2)]
    assert {"setting": "model.dim", "weak": "32", "strong": "64"} in read["params"]
    assert read["cost"][1] == {"contender": "strong", "fit_seconds": 640.0}
    assert {row["column"] for row in read["segments"]} == {"history_length"}
    assert read["pairs"][1]["overlap"] < 0.8
    page = html.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "http" not in page.replace("http-equiv", "")
    assert main([*asked, f"--out.html={html}"]) == FAILED
    assert "already exists" in capsys.readouterr().err


def test_the_comparison_is_kept_in_mlflow(shelf: str) -> None:
    assert (
        main(
            [
                "compare",
                "--experiment",
                "shelf",
                "--best",
                "2",
                "--metric",
                "ndcg_at_2",
                "--out.log",
                "--tracking_uri",
                shelf,
            ]
        )
        == OK
    )
    client = MlflowClient(shelf)
    place = client.get_experiment_by_name("shelf")
    assert place is not None
    [kept] = client.search_runs([place.experiment_id], f"tags.`{TAG}` LIKE '%strong%'")
    names = {one.path for one in client.list_artifacts(kept.info.run_id, "comparison")}
    assert names == {"comparison/comparison.html", "comparison/comparison.json"}


def test_lists_of_another_library_are_judged_as_the_runs_were(
    shelf: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists(0.8, 1).drop(columns="request_id").to_parquet(tmp_path / "theirs.parquet")
    truth().to_parquet(tmp_path / "truth.parquet")
    asked = ["compare", "strong", "--frames", f"theirs={tmp_path}/theirs.parquet", "--tracking_uri", shelf]
    assert main([*asked, "--truth", f"{tmp_path}/truth.parquet", "--out.json", f"{tmp_path}/c.json"]) == OK
    [row, _] = json.loads((tmp_path / "c.json").read_text())["effects"]
    assert (row["contender"], row["difference"], row["differ"]) == ("theirs", 0, 0)
    truth().head(100).to_parquet(tmp_path / "less.parquet")
    assert main([*asked, "--truth", f"{tmp_path}/less.parquet"]) == FAILED
    assert "100 of 120 requests in common" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (["weak", "other"], FAILED, "ties is 'exclude' in weak, but 'order' in other"),
        (["weak"], MISUSED, "at least two contenders, got 1"),
        (["weak", "weak"], MISUSED, "at least two contenders, got 1"),
        (["weak", "wek"], FAILED, "no run with the id or name 'wek'. Did you mean 'weak'"),
        (["weak", "0" * 32], FAILED, "there is no such run"),
        (["weak", "models:/none@champion"], FAILED, "models:/none@champion leads to no model"),
        ([], MISUSED, "give runs to compare"),
        (["--best", "3"], MISUSED, "best needs the experiment"),
        (["--best", "3", "--experiment", "shelves"], MISUSED, "no experiment 'shelves'. Did you mean 'shelf'"),
        (["weak", "strong", "--metric", "ndcg_at_3"], MISUSED, "Did you mean 'ndcg_at_2'"),
        (["weak", "strong", "--prefix", "valid"], FAILED, "It has an evaluation under 'test'"),
        (["weak", "--frames", "lists.parquet", "--truth", "t.csv"], MISUSED, "frames must be name=file"),
        (["weak", "--frames", "a=lists.parquet"], MISUSED, "pass --truth"),
    ],
)
def test_what_cannot_be_compared_is_said(
    shelf: str, asked: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *asked, "--tracking_uri", shelf]) == status
    assert said in capsys.readouterr().err
