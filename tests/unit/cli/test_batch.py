from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from recattn.cli import batch
from recattn.errors import ConfigError
from recattn.jobs import open_output
from recattn.recommender import Recommender


@pytest.fixture
def ask(model: Path, files: Path) -> list[object]:
    """The least a `score` needs."""
    history, slate = files / "interactions.parquet", files / "candidates.csv"
    return ["score", "--model", model, "--history", history, "--slate", slate, "--threads", "1"]


@pytest.mark.parametrize(
    ("out", "shard", "job"),
    [
        ("scores.csv", None, False),
        ("scores.parquet", None, False),
        ("scores.txt", None, False),
        ("scores", None, True),
        ("scores/", None, True),
        ("nightly-2024.05.01", None, True),
        ("s3://bucket/scores.parquet", None, True),
        ("scores.parquet", "1/2", True),
        (None, None, False),
    ],
)
def test_a_result_without_the_ending_of_a_file_is_a_folder(out, shard, job) -> None:
    assert batch.is_job(out, shard) is job


def test_a_shard_of_nothing_is_told() -> None:
    with pytest.raises(ConfigError, match="needs a folder"):
        batch.is_job(None, "1/2")


def test_scores_in_a_folder_are_those_of_the_model(recattn, ask, model: Path, files: Path) -> None:
    done = recattn(*ask, "--out", "scores")
    assert (done.status, done.out) == (0, ""), done.err
    assert "rows/s" in done.err
    slate, log = pd.read_csv(files / "candidates.csv"), pd.read_parquet(files / "interactions.parquet")
    expected = Recommender.load(model).score(slate, history=log)
    found = open_output("scores").to_table().to_pandas()
    pd.testing.assert_series_equal(found["score"], expected["score"], rtol=1e-5, atol=1e-5)
    again = recattn(*ask, "--out", "scores")
    assert (again.status, "finished already" in again.err) == (0, True)
    changed = recattn(*ask, "--out", "scores", "--stage", "retrieval")
    assert (changed.status, "settings.stage was" in changed.err) == (1, True)
    assert "Pass --overwrite" in changed.err


def test_shards_are_published(recattn, ask, files: Path) -> None:
    rows = len(pd.read_csv(files / "candidates.csv"))
    for shard in ("1/2", "2/2"):
        done = recattn(*ask, "--out", "scores", "--shard", shard, "--rows_a_part", str(rows // 3))
        assert done.status == 0, done.err
    assert recattn("publish", "--out", "scores").status == 0
    assert open_output("scores").count_rows() == rows
    lost = recattn("publish", "--out", "nowhere")
    assert (lost.status, "holds no shards" in lost.err) == (1, True)


def test_lists_in_a_folder_are_those_of_a_file(recattn, ask) -> None:
    pd.DataFrame({"user_id": ["u0002", "u0001"]}).to_csv("u.csv", index=False)
    asked = ["recommend", *ask[1:5], "--users", "u.csv", "--k", "3"]
    assert recattn(*asked, "--out", "lists").status == 0
    assert recattn(*asked, "--out", "lists.parquet").status == 0
    columns = ["user_id", "item_id", "rank"]
    found = open_output("lists").to_table().to_pandas()
    assert found[columns].equals(pd.read_parquet("lists.parquet")[columns])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--out", "scores", "--shard", "3/2"], "shard must be i/n"),
        (["--out", "scores", "--memory_budget", "1KB"], "memory_budget must be at least"),
        (["--out", "scores.csv", "--explain", "2"], "explain is for results in a folder"),
        (["--out", "scores", "--grouping", "row"], "Did you mean 'rows'"),
    ],
)
def test_a_mistake_is_told(recattn, ask, given: list[str], message: str) -> None:
    done = recattn(*ask, *given)
    assert (done.status, message in done.err) == (2, True), done.err


def test_progress_is_told_in_lines_where_there_is_no_terminal(caplog, monkeypatch) -> None:
    clock = iter([0.0, 1.0, 2.0, 21.0, 30.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, "recattn"), batch.told() as progress:
        for done in (100, 150, 2_000, 10_000):
            progress(done, 10_000)
    assert caplog.messages == ["2,000 of 10,000 (95/s, 84 s left)"]
