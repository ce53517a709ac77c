from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def ask(model: Path, files: Path) -> list[object]:
    """The least a `recommend` needs."""
    return ["recommend", "--model", model, "--history", files / "interactions.parquet"]


def csv(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def test_users_asked_for_get_their_best_unseen_items(recattn, ask, files: Path) -> None:
    done = recattn(*ask, "--users", "u0002,u0001", "--k", "3")
    found = csv(done.out)
    assert found["user_id"].tolist() == ["u0002"] * 3 + ["u0001"] * 3
    assert found["rank"].tolist() == [1, 2, 3] * 2
    log = pd.read_parquet(files / "interactions.parquet")
    seen = set(zip(log["user_id"], log["item_id"], strict=True))
    assert not seen & set(zip(found["user_id"], found["item_id"], strict=True))


def test_everybody_is_asked_about_by_default(recattn, ask, files: Path) -> None:
    done = recattn(*ask, "--k", "2", "--out", "r.parquet")
    assert (done.status, done.out) == (0, "")
    users = pd.read_parquet(files / "interactions.parquet")["user_id"].nunique()
    assert len(pd.read_parquet("r.parquet")) == 2 * users


def test_a_file_of_requests_keeps_its_request_ids(recattn, ask) -> None:
    requests = {"request_id": ["late", "early"], "user_id": ["u0001"] * 2, "timestamp": ["2024-06-20", "2024-01-02"]}
    pd.DataFrame(requests).to_csv("r.csv", index=False)
    found = csv(recattn(*ask, "--users", "r.csv", "--k", "1").out)
    assert found["request_id"].tolist() == ["late", "early"]


def test_candidates_narrow_the_choice(recattn, ask) -> None:
    pd.DataFrame({"item_id": ["i0001", "i0002"]}).to_csv("c.csv", index=False)
    for given in ("i0001,i0002", "c.csv"):
        found = csv(recattn(*ask, "--users", "u0001", "--candidates", given, "--exclude_seen", "false").out)
        assert set(found["item_id"]) == {"i0001", "i0002"}


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--k", "0"], 2, "k must be a whole number of at least 1, got 0"),
        (["--users", "nobody"], 1, "nobody"),
        (["--users", "nobody.csv"], 1, "users: no file or folder"),
        (["--candidates", "zzz"], 1, "zzz"),
        (["--user", "u0001"], 2, "Did you mean 'users'"),
    ],
)
def test_a_mistake_is_told(recattn, ask, given: list[str], status: int, message: str) -> None:
    done = recattn(*ask, *given)
    assert (done.status, message in done.err) == (status, True), done.err
    assert "Traceback" not in done.err


def test_stages_of_a_file_find_filter_and_diversify(recattn, ask) -> None:
    Path("stages.yaml").write_text(
        "candidates: 20\ngenerator: {kind: union, parts: [popular, retrieval]}\n"
        "filters: [{kind: deny, items: deny.csv}]\npost: [{kind: mmr, trade_off: 0.8, pool: 10}]\n"
    )
    pd.DataFrame({"item_id": ["i0001"]}).to_csv("deny.csv", index=False)
    found = csv(recattn(*ask, "--users", "u0001,u0002", "--k", "4", "--stages", "stages.yaml").out)
    assert found.groupby("user_id")["rank"].apply(list).tolist() == [[1, 2, 3, 4]] * 2
    assert "i0001" not in set(found["item_id"])
    assert set(found["source"]) <= {"popular", "retrieval"}


@pytest.mark.parametrize(
    ("beside", "message"),
    [(["--stage", "retrieval"], "stage goes not with stages"), (["--out", "lists"], "a folder as out goes not")],
)
def test_what_stages_decide_is_refused_beside_them(recattn, ask, beside: list[str], message: str) -> None:
    done = recattn(*ask, "--users", "u0001", "--stages", "stages.yaml", *beside)
    assert done.status == 2
    assert message in done.err
