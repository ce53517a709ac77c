"""Tests of a Spark executor's process, on Arrow batches alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recattn.jobs import spark_model
from recattn.jobs.spark_model import ShippedModel
from recattn.jobs.spark_worker import Task, run_task

if TYPE_CHECKING:
    from recattn.recommender import Recommender

COLUMNS = ["user_id", "item_id", "timestamp", "event_type", "weight"]
Run = Callable[..., pd.DataFrame]


@pytest.fixture
def run(rich: Recommender, world: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(log, asked, size, **task)`: the result for rows sorted as Spark sorts them, `size` a batch."""
    monkeypatch.setitem(spark_model._LOADED, "rich", rich._fitted())

    def go(log: pd.DataFrame, asked: pd.DataFrame, size: int, **settings: Any) -> pd.DataFrame:
        who = {row["user_id"]: {name: row[name] for name in ("plan", "age")} for row in world.users.to_dict("records")}
        columns = log[COLUMNS].to_dict("records")
        rows = [{**row, "asked": False, "row": None, "who": None} for row in columns]
        for row in asked.to_dict("records"):
            keys = {name: row.get(name) for name in COLUMNS}
            rows.append({**keys, "asked": True, "row": row, "who": who.get(row["user_id"])})
        rows = sorted(rows, key=lambda row: (row["user_id"], row["asked"], row["timestamp"] or 0))
        common = {"stage": None, "as_of": int(log["timestamp"].max()) + 1, "timed": "timestamp" in asked, "threads": 1}
        task = Task(model=ShippedModel("none", "rich"), columns=("device", "hour"), **(common | settings))
        batches = list(run_task(task, pa.Table.from_pylist(rows).to_batches(max_chunksize=size)))
        return pa.Table.from_batches(batches).to_pandas()

    return go


@pytest.fixture
def slate(world: Any) -> pd.DataFrame:
    """All users and one without history, an unknown item, context, and a column to carry."""
    people = pd.DataFrame({"user_id": [*world.log["user_id"].unique(), "nobody"], "device": "phone"})
    people["hour"] = np.arange(len(people), dtype=float)
    slate = people.merge(pd.DataFrame({"item_id": ["i00", "never", "i13"]}), how="cross")
    return slate.assign(note=np.arange(len(slate)))


@pytest.mark.parametrize(("size", "block_rows"), [(7, 1), (7, 40), (1_000, 10_000)])
def test_scores_are_those_of_the_recommender_wherever_batches_and_blocks_end(
    run: Run, rich: Recommender, world: Any, slate: pd.DataFrame, size: int, block_rows: int
) -> None:
    found = run(world.log, slate, size, block_rows=block_rows).sort_values("note", ignore_index=True)
    theirs = rich.score(slate, history=world.log, users=world.users)
    assert list(found.columns) == [*slate.columns, "score", "reason"]
    np.testing.assert_allclose(found["score"], theirs["score"], rtol=1e-5, atol=1e-5)
    assert found["reason"].fillna("").tolist() == theirs["reason"].fillna("").tolist()
    assert (found["reason"] == "no_history").sum() == 2


def test_a_moment_of_a_row_is_what_its_history_ends_before(
    run: Run, rich: Recommender, world: Any, slate: pd.DataFrame
) -> None:
    moments = slate.assign(timestamp=int(world.log["timestamp"].median()))
    found = run(world.log, moments, 20, block_rows=50, as_of=None).sort_values("note", ignore_index=True)
    theirs = rich.score(moments, history=world.log, users=world.users)
    np.testing.assert_allclose(found["score"], theirs["score"], rtol=1e-5, atol=1e-5)
    later = rich.score(slate, history=world.log, users=world.users)["score"]
    assert not np.allclose(found["score"], later, equal_nan=True)


def test_lists_are_those_of_the_recommender(run: Run, rich: Recommender, world: Any, slate: pd.DataFrame) -> None:
    asked = slate[["user_id", "device", "hour"]].drop_duplicates(ignore_index=True)
    found = run(world.log, asked, 9, block_rows=30, k=3).sort_values(["user_id", "rank"], ignore_index=True)
    theirs = rich.recommend(asked, history=world.log, user_features=world.users, k=3)
    theirs = theirs.sort_values(["user_id", "rank"], ignore_index=True)
    assert list(found.columns) == ["user_id", "item_id", "score", "rank"]
    for name in ("user_id", "item_id", "rank"):
        assert found[name].tolist() == theirs[name].tolist(), name
    np.testing.assert_allclose(found["score"], theirs["score"], rtol=1e-5, atol=1e-5)


def test_users_of_the_log_who_are_not_asked_about_cost_no_answer(run: Run, world: Any, slate: pd.DataFrame) -> None:
    found = run(world.log, slate[slate["user_id"] == "u03"], 10, block_rows=10)
    assert found["user_id"].tolist() == ["u03"] * 3
