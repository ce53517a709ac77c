from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def ask(model: Path, files: Path) -> list[object]:
    """The least it takes to judge a model."""
    return ["evaluate", "--model", model, "--interactions", files / "interactions.parquet"]


def test_a_model_is_judged_beside_baselines(recattn, ask) -> None:
    done = recattn(
        *ask, "--baselines", "popularity,recency", "--k", "5,10", "--metrics", "ndcg,coverage", "--out", "r.csv"
    )
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    header = next(line for line in lines if "recommender" in line)
    assert header.split() == ["recommender", "NDCG@5", "NDCG@10", "Coverage@5", "Coverage@10"]
    assert "the best baseline" in done.out
    rows = pd.read_csv("r.csv")
    assert set(rows["recommender"]) == {"recattn", "popularity", "recency"}


def test_a_file_of_anybody_is_judged_by_a_file_of_truth(recattn) -> None:
    pd.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["a", "b", "a"], "rank": [1, 2, 1]}).to_csv(
        "r.csv", index=False
    )
    pd.DataFrame({"user_id": ["u", "v", "w"], "item_id": ["b", "a", "a"]}).to_csv("t.csv", index=False)
    done = recattn(
        "evaluate", "--recommendations", "r.csv", "--truth", "t.csv", "--metrics", "mrr,coverage", "--k", "2"
    )
    assert done.status == 0, done.err
    assert "0.5000" in done.out  # (1/2 + 1 + 0) / 3
    assert "coverage is left out" in done.err
    assert "1 requests have no recommendation" in done.err
    sized = recattn("evaluate", "--recommendations", "r.csv", "--truth", "t.csv", "--k", "2", "--catalog_size", "4")
    assert "Coverage@2" in sized.out


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--k", "0"], 2, "at least 1, got 0"),
        (["--k", "ten"], 2, "k must be a whole number, or several such as 10,20, got 'ten'"),
        (["--metrics", "ndgc"], 2, "metrics has no kind 'ndgc'. Did you mean 'ndcg'"),
        (["--truth", "t.csv"], 2, "give --model and --interactions"),
        (["--split.kind", "none"], 2, "nothing to judge by"),
        (["--split.test_from", "2030-01-01"], 1, "test"),
    ],
)
def test_a_mistake_is_told(recattn, ask, given: list[str], status: int, message: str) -> None:
    done = recattn(*ask, *given)
    assert (done.status, message in done.err) == (status, True), done.err
    assert "Traceback" not in done.err
