from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recattn.recommender import Recommender


@pytest.fixture
def ask(model: Path, files: Path) -> list[object]:
    """The least a `score` needs."""
    history, slate = files / "interactions.parquet", files / "candidates.csv"
    return ["score", "--model", model, "--history", history, "--slate", slate]


def test_scores_in_a_file_are_those_of_the_model(recattn, ask, model: Path, files: Path) -> None:
    done = recattn(*ask, "--out", "scores.parquet")
    assert done.status == 0, done.err
    slate, log = pd.read_csv(files / "candidates.csv"), pd.read_parquet(files / "interactions.parquet")
    expected = Recommender.load(model).score(slate, history=log)
    found = pd.read_parquet("scores.parquet")
    assert found[["user_id", "item_id"]].equals(slate)
    pd.testing.assert_series_equal(found["score"], expected["score"])


def test_without_a_file_scores_are_csv_on_stdout_alone(recattn, ask, files: Path) -> None:
    done = recattn(*ask, "--stage", "retrieval")
    lines = done.out.splitlines()
    assert lines[0] == "user_id,item_id,score,reason"
    assert len(lines) == 1 + len(pd.read_csv(files / "candidates.csv"))


def test_reasons_are_counted(recattn, ask) -> None:
    pd.DataFrame({"who": ["u0001", "nobody"], "item_id": ["gone", "i0001"]}).to_csv("s.csv", index=False)
    history = pd.read_parquet(ask[4]).rename(columns={"user_id": "who"})
    history.to_parquet("h.parquet")
    done = recattn("score", *ask[1:3], "--history", "h.parquet", "--slate", "s.csv", "--columns.user_id", "who")
    assert done.status == 0, done.err
    assert "1 rows: unknown_item" in done.err
    assert "1 rows: no_history" in done.err


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--model", "nowhere"], 1, "nowhere holds no model"),
        (["--slate", "nowhere.csv"], 1, "slate: no file or folder 'nowhere.csv'"),
        (["--out", "scores.txt"], 2, "must be .csv or .parquet"),
        (["--out", "no/scores.csv"], 1, "there is no folder"),
        (["--stage", "depp"], 2, "Did you mean 'deep'"),
        (["--as_of", "yesterday-ish"], 1, "as_of must be a date"),
        (["--device", "abacus"], 2, "device 'abacus' cannot be used"),
        (["--columns.timestamp", "ts"], 1, "interactions has no column 'ts'"),
    ],
)
def test_a_mistake_is_told(recattn, ask, given: list[str], status: int, message: str) -> None:
    done = recattn(*ask, *given)
    assert (done.status, message in done.err) == (status, True), done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_a_slate_without_items_is_told(recattn, ask) -> None:
    pd.DataFrame({"user_id": ["u0001"], "product": ["i0001"]}).to_csv("s.csv", index=False)
    done = recattn(*ask, "--slate", "s.csv")
    assert (done.status, "slate has no column 'item_id'" in done.err) == (1, True)
    assert "pass --columns.item_id product" in done.err


def test_ids_of_another_kind_are_told(recattn, ask) -> None:
    pd.DataFrame({"user_id": ["u0001"], "item_id": [1]}).to_csv("s.csv", index=False)
    done = recattn(*ask, "--slate", "s.csv")
    assert (done.status, "item_id is int in slate (such as 1) but str in the model" in done.err) == (1, True)
    pd.DataFrame({"user_id": [1], "item_id": [1], "timestamp": [9]}).to_csv("h.csv", index=False)
    done = recattn(*ask, "--history", "h.csv")
    assert (done.status, "item_id is int in history" in done.err) == (1, True)


def test_a_damaged_model_is_told(recattn, ask, model: Path) -> None:
    Path("damaged").mkdir()
    for part in model.iterdir():
        Path("damaged", part.name).write_bytes(part.read_bytes())
    weights = Path("damaged/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    done = recattn(*ask, "--model", "damaged")
    assert (done.status, "the part weights.safetensors of the model in damaged is damaged" in done.err) == (1, True)


def test_a_file_is_replaced_only_when_asked(recattn, ask) -> None:
    Path("scores.csv").write_text("mine")
    done = recattn(*ask, "--out", "scores.csv")
    assert (done.status, Path("scores.csv").read_text()) == (1, "mine")
    assert recattn(*ask, "--out", "scores.csv", "--overwrite").status == 0
    assert Path("scores.csv").read_text().startswith("user_id,item_id,score")
