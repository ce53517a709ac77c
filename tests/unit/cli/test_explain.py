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


def test_a_sample_becomes_a_page_with_titles(recattn, model: Path, files: Path) -> None:
    items = pd.read_parquet(files / "items.parquet")
    items.assign(title="The <b>" + items["item_id"].astype(str)).to_parquet("titles.parquet")
    ask = ["--model", model, "--history", files / "interactions.parquet", "--slate", files / "candidates.csv"]
    done = recattn("explain", *ask, "--html", "page.html", "--titles", "titles.parquet", "--sample", "2")
    assert (done.status, done.out) == (0, ""), done.err
    text = Path("page.html").read_text(encoding="utf-8")
    assert "A sample of 2 of " in text
    assert "The &lt;b&gt;" in text
    assert "The <b>" not in text
    again = recattn("explain", *ask, "--html", "page.html")
    assert (again.status, "already exists" in again.err) == (1, True)


def test_rows_are_written_beside_the_page_when_asked_for(recattn, model: Path, files: Path) -> None:
    ask = ["--model", model, "--history", files / "interactions.parquet", "--slate", files / "candidates.csv"]
    done = recattn("explain", *ask, "--html", "page.html", "--out", "reasons.parquet", "--top", "1")
    assert done.status == 0, done.err
    assert done.err.count("as_of is") == 1
    assert Path("page.html").exists()
    assert len(pd.read_parquet("reasons.parquet")) == len(pd.read_csv(files / "candidates.csv"))


def test_a_page_by_another_name_and_titles_without_a_page_are_refused(recattn, model: Path, files: Path) -> None:
    ask = ["--model", model, "--history", files / "interactions.parquet", "--slate", files / "candidates.csv"]
    done = recattn("explain", *ask, "--html", "page.csv")
    assert (done.status, "Its name must end in .html" in done.err) == (2, True)
    done = recattn("explain", *ask, "--titles", files / "items.parquet")
    assert (done.status, "Pass --html FILE.html too" in done.err) == (2, True)
