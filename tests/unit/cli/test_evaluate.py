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


def test_a_model_is_judged_by_what_its_lists_are_like_and_for_whom(recattn, ask, files: Path) -> None:
    items = ["--items", files / "items.parquet", "--diversity_column", "genres"]
    names = "average_popularity,map,gini,novelty,intra_list_diversity"
    done = recattn(
        *ask,
        *items,
        "--metrics",
        names,
        "--by",
        "history_length,popularity",
        "--baselines",
        "popularity",
        "--out",
        "r.csv",
    )
    assert done.status == 0, done.err
    for words in ("MAP@10", "Gini@10", "Average popularity@10", "Novelty@10", "Intra list diversity@10"):
        assert words in done.out
    assert "MAP@10 ahead of popularity" in done.out or "MAP@10 behind popularity" in done.out
    assert "by history_length" in done.out
    assert "by popularity" in done.out
    rows = pd.read_csv("r.csv")
    means = rows.groupby("recommender")[["average_popularity_at_10", "novelty_at_10"]].mean()
    assert means.loc["popularity", "average_popularity_at_10"] > means.loc["recattn", "average_popularity_at_10"]
    assert means.loc["popularity", "novelty_at_10"] < means.loc["recattn", "novelty_at_10"]


def write_lists() -> list[str]:
    lists = {"user_id": ["u", "u", "v", "v"], "item_id": ["a", "b", "a", "c"], "rank": [1, 2, 1, 2]}
    pd.DataFrame(lists).to_csv("r.csv", index=False)
    pd.DataFrame({"user_id": ["u", "v"], "item_id": ["b", "a"]}).to_csv("t.csv", index=False)
    return ["evaluate", "--recommendations", "r.csv", "--truth", "t.csv", "--k", "2"]


def test_files_say_how_popular_items_are_what_they_are_like_and_who_asked(recattn) -> None:
    asked = write_lists()
    pd.DataFrame({"item_id": list("abc"), "genres": ["x", "x|y", "z"]}).to_csv("items.csv", index=False)
    pd.DataFrame({"user_id": ["u", "v"], "country": ["NL", "DE"]}).to_csv("who.csv", index=False)
    pd.DataFrame({"item_id": list("abc"), "interactions": [6, 2, 0]}).to_csv("counts.csv", index=False)
    pd.DataFrame({"user_id": range(8), "item_id": list("aaaaaabb")}).to_csv("log.csv", index=False)
    facts = ["--items", "items.csv", "--diversity_column", "genres", "--segments", "who.csv", "--by", "country"]
    names = ["--metrics", "average_popularity,intra_list_diversity,gini"]
    told = [recattn(*asked, *facts, *names, "--popularity", file) for file in ("counts.csv", "log.csv")]
    assert [done.status for done in told] == [0, 0], told[0].err + told[1].err
    assert told[0].out == told[1].out
    assert "3.5000" in told[0].out  # (6 + 2 + 6 + 0) / 4
    assert "0.6464" in told[0].out  # 1 - (sqrt(1/2) + 0) / 2
    assert [line.split()[:3] for line in told[0].out.splitlines()[-2:]] == [["r", "DE", "1"], ["r", "NL", "1"]]


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--metrics", "novelty"], 2, "novelty needs the interactions of each item: give --popularity FILE"),
        (["--metrics", "novelty", "--popularity", "items.csv"], 1, "each item once and no column 'interactions'"),
        (["--metrics", "intra_list_diversity"], 2, "give --items FILE and --diversity_column NAME"),
        (["--diversity_column", "genres"], 2, "--diversity_column genres is a column of items: give --items FILE"),
        (["--diversity_column", "genre", "--items", "items.csv"], 1, "items has no column 'genre'"),
        (["--by", "country"], 2, "--by country needs columns of requests: give --segments FILE"),
        (["--by", "county", "--segments", "who.csv"], 2, "no segment column 'county'. Did you mean 'country'"),
        (["--segments", "items.csv"], 1, "segments must be a DataFrame with a column 'user_id'"),
        (["--labelled", "r.csv"], 2, "give --model and --interactions to judge a model"),
    ],
)
def test_a_mistake_about_files_is_told(recattn, given: list[str], status: int, message: str) -> None:
    asked = write_lists()
    pd.DataFrame({"item_id": list("abc"), "genres": ["x", "x|y", "z"]}).to_csv("items.csv", index=False)
    pd.DataFrame({"user_id": ["u", "v"], "country": ["NL", "DE"]}).to_csv("who.csv", index=False)
    done = recattn(*asked, *given)
    assert (done.status, message in done.err) == (status, True), done.err
    assert "Traceback" not in done.err


def test_labelled_scores_are_judged(recattn) -> None:
    rows = {"user_id": list("uuvvw"), "label": [1, 0, 0, 1, 1], "score": [2.0, 1.0, 0.5, 0.1, None]}
    pd.DataFrame({**rows, "probability": [0.9, 0.8, 0.3, 0.2, None]}).to_csv("scored.csv", index=False)
    pd.DataFrame({"user_id": list("uvw"), "country": ["NL", "DE", "DE"]}).to_csv("who.csv", index=False)
    done = recattn(
        *("evaluate", "--labelled", "scored.csv", "--segments", "who.csv", "--by", "country", "--out", "o.csv")
    )
    assert done.status == 0, done.err
    assert "4 rows, 2 of label 1, grouped by user_id" in done.out
    for words in ("AUC", "Grouped AUC", "Log loss", "Calibration error", "by country"):
        assert words in done.out
    assert "1 rows have no score: left out" in done.err
    assert pd.read_csv("o.csv")["grouped_auc"].tolist() == [1.0, 0.0]
    wrong = recattn("evaluate", "--labelled", "who.csv")
    assert (wrong.status, "no column 'label'" in wrong.err) == (1, True), wrong.err


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--k", "0"], 2, "at least 1, got 0"),
        (["--k", "ten"], 2, "k must be a whole number, or several such as 10,20, got 'ten'"),
        (["--metrics", "ndgc"], 2, "metrics has no kind 'ndgc'. Did you mean 'ndcg'"),
        (["--truth", "t.csv"], 2, "give --model and --interactions"),
        (["--by", "history"], 2, "by has no 'history'. Did you mean 'history_length'"),
        (["--metrics", "intra_list_diversity"], 2, "give --items FILE and --diversity_column NAME"),
        (["--split.kind", "none"], 2, "nothing to judge by"),
        (["--split.test_from", "2030-01-01"], 1, "test"),
    ],
)
def test_a_mistake_is_told(recattn, ask, given: list[str], status: int, message: str) -> None:
    done = recattn(*ask, *given)
    assert (done.status, message in done.err) == (status, True), done.err
    assert "Traceback" not in done.err
