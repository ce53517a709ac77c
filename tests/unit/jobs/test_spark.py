"""Tests of the batch job on Spark, which start a local one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recattn.errors import ConfigError, DataError

pytest.importorskip("pyspark", minversion="4.0", reason="PySpark is not installed")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("no Java here", allow_module_level=True)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from recattn.recommender import Recommender

from recattn.jobs.spark import recommend_spark, score_spark
from recattn.jobs.spark_model import ship

START = 1_700_000_000
BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
BIG = 2**60 + 1  # no float holds it


@pytest.fixture(scope="module")
def spark(make_spark: Any) -> Iterator[SparkSession]:
    """Two threads, two tries a task, small batches, far from UTC."""
    more = {BATCH: "1000", "spark.sql.shuffle.partitions": "3", "spark.sql.session.timeZone": "America/New_York"}
    session = make_spark("local[2,2]", more)
    yield session
    session.stop()


@dataclass(frozen=True)
class Scene:
    """What is scored, in pandas, with the answers of the Recommender."""

    folder: str
    log: pd.DataFrame
    users: pd.DataFrame
    slate: pd.DataFrame
    scores: pd.DataFrame


@pytest.fixture(scope="module")
def scene(rich: Recommender, world: Any, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The shared world with a user of 20,000 rows and one of none; every slate holds an unknown item."""
    rng = np.random.default_rng(0)
    n = 20_000
    heavy = pd.DataFrame(
        {
            "user_id": "heavy",
            "item_id": rng.choice([*(f"i{number:02}" for number in range(14)), "gone"], n),
            "timestamp": START - 50_000 + np.sort(rng.integers(0, 40_000, n)),  # many at one moment
            "event_type": rng.choice(["view", "buy", None], n),
            "weight": rng.uniform(1, 5, n),
        }
    )
    log = pd.concat([world.log, heavy], ignore_index=True).drop(columns=["device", "hour"])
    log = log.iloc[rng.permutation(len(log))].reset_index(drop=True)
    people = pd.DataFrame({"user_id": [*world.log["user_id"].unique(), "heavy", "nobody"]})
    slate = people.merge(pd.DataFrame({"item_id": ["i00", "i03", "i13", "never"]}), how="cross")
    slate["device"] = np.where(slate["user_id"] < "u06", "phone", "desk")
    slate["hour"] = slate["user_id"].str[-1].map(lambda digit: float(digit) if digit.isdigit() else np.nan)
    slate["campaign"] = pd.array([BIG + row if row % 3 else None for row in range(len(slate))], dtype="Int64")
    slate["dotted.tags"] = [[row, row] for row in range(len(slate))]
    slate = slate.iloc[rng.permutation(len(slate))].reset_index(drop=True)
    folder = tmp_path_factory.mktemp("spark") / "model"
    rich.save(folder)
    return Scene(str(folder), log, world.users, slate, rich.score(slate, history=log, users=world.users))


def on(spark: SparkSession, frame: pd.DataFrame, parts: int = 2) -> DataFrame:
    """The frame on Spark, in its order."""
    table = spark.createDataFrame(pa.Table.from_pandas(frame, preserve_index=False))
    return table.coalesce(1) if parts == 1 else table


def same(found: pa.Table, scores: pd.DataFrame) -> None:
    """The rows of both are equal, in whatever order."""
    keys = ["user_id", "item_id"]
    ours = found.to_pandas().sort_values(keys, ignore_index=True)
    theirs = scores.sort_values(keys, ignore_index=True)
    assert ours[keys].equals(theirs[keys].astype(ours[keys].dtypes))
    np.testing.assert_allclose(ours["score"], theirs["score"], rtol=1e-5, atol=1e-5)
    assert ours["reason"].fillna("").tolist() == theirs["reason"].fillna("").tolist()


def score(spark: SparkSession, scene: Scene, **changes: Any) -> DataFrame:
    """The slate scored with few rows a block."""
    settings = {"user_features": on(spark, scene.users), "block_rows": 64} | changes
    return score_spark(spark, scene.folder, on(spark, scene.log), on(spark, scene.slate), **settings)


def test_scores_are_those_of_the_recommender(spark: SparkSession, scene: Scene) -> None:
    found = score(spark, scene).toArrow()
    same(found, scene.scores)
    assert set(scene.scores["reason"].dropna()) == {"unknown_item", "no_history"}
    assert found.column_names == [*scene.slate.columns, "score", "reason"]
    carried = dict(zip(scene.slate["dotted.tags"].map(tuple), scene.slate["campaign"], strict=True))
    for tags, campaign in zip(found["dotted.tags"].to_pylist(), found["campaign"].to_pylist(), strict=True):
        assert campaign == carried[tuple(tags)] or (campaign is None and carried[tuple(tags)] is pd.NA)
    assert found["score"].null_count == (scene.slate["item_id"] == "never").sum()


def test_partitions_may_be_empty_and_blocks_of_any_size(spark: SparkSession, scene: Scene) -> None:
    same(score(spark, scene, partitions=24, block_rows=10**6).toArrow(), scene.scores)


def test_lists_are_those_of_the_recommender(spark: SparkSession, scene: Scene, rich: Recommender) -> None:
    asked = scene.slate.groupby("user_id", as_index=False)[["device", "hour"]].first()
    settings = {"k": 4, "as_of": "2024-01-01", "exclude_seen": False, "candidates": [f"i{n:02}" for n in range(8)]}
    theirs = rich.recommend(asked, history=scene.log, user_features=scene.users, **settings)
    ours = recommend_spark(
        spark, scene.folder, on(spark, scene.log), on(spark, asked), user_features=on(spark, scene.users), **settings
    )
    assert ours.columns == ["user_id", "item_id", "score", "rank"]
    found = ours.toArrow().to_pandas().sort_values(["user_id", "rank"], ignore_index=True)
    assert len(found) == 4 * len(asked)
    theirs = theirs.sort_values(["user_id", "rank"], ignore_index=True)
    np.testing.assert_allclose(found["score"], theirs["score"], rtol=1e-5, atol=1e-5)
    assert found["item_id"].tolist() == theirs["item_id"].tolist()


def test_a_process_killed_in_the_middle_changes_nothing(spark: SparkSession, scene: Scene, tmp_path: Path) -> None:
    once = str(tmp_path / "killed")

    def kill(batches: Iterator[Any]) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            if number == 1 and not os.path.exists(once):
                open(once, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    scored = score(spark, scene, partitions=2, block_rows=16).select("user_id", "item_id", "score", "reason")
    spark.conf.set(BATCH, "10")
    try:
        found = scored.mapInArrow(kill, scored.schema).toArrow()
    finally:
        spark.conf.set(BATCH, "1000")
    assert os.path.exists(once), "nobody was killed"
    same(found, scene.scores)


def test_a_log_without_times_goes_by_the_order_of_its_rows(
    spark: SparkSession, world: Any, small_model: Any, small_train: Any, stir: Any, tmp_path: Path
) -> None:
    from recattn.recommender import Recommender

    log = world.log[["user_id", "item_id"]].sample(frac=1, random_state=1, ignore_index=True)
    model = Recommender(small_model(time="order", ties="order"), small_train(max_epochs=1)).fit(log)
    stir(model)
    model.save(tmp_path / "model")
    slate = log[["user_id"]].drop_duplicates().merge(pd.DataFrame({"item_id": ["i01", "i02"]}), how="cross")
    found = score_spark(spark, tmp_path / "model", on(spark, log), on(spark, slate)).toArrow()
    same(found, model.score(slate, history=log))
    backwards = log.assign(place=np.arange(len(log))).iloc[::-1]
    found = score_spark(spark, tmp_path / "model", on(spark, backwards), on(spark, slate), order_by="place").toArrow()
    same(found, model.score(slate, history=log))


def test_a_row_a_user_with_lists_is_the_same_log(
    spark: SparkSession, plain: Recommender, world: Any, tmp_path: Path
) -> None:
    plain.save(tmp_path / "model")
    log = world.log[["user_id", "item_id", "timestamp", "event_type"]]
    lists = log.groupby("user_id", as_index=False).agg(list)
    slate = lists[["user_id"]].merge(pd.DataFrame({"item_id": ["i01", "i02"]}), how="cross")
    found = score_spark(spark, tmp_path / "model", on(spark, lists), on(spark, slate)).toArrow()
    same(found, plain.score(slate, history=log))


def test_a_process_reads_the_model_once(spark: SparkSession, scene: Scene) -> None:
    shipped = ship(spark, scene.folder)
    assert ship(spark, scene.folder) == shipped

    def load(batches: Iterator[Any]) -> Iterator[Any]:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"process": [os.getpid()], "model": [id(shipped.load(1))]})

    frame = spark.range(0, 60, numPartitions=12).mapInArrow(load, "process long, model long")
    seen = {(row.process, row.model) for row in frame.collect()}
    assert len(seen) == len({process for process, _ in seen}) < 12  # processes are kept for the next task


def test_moments_of_every_type_are_seconds_in_utc(spark: SparkSession) -> None:
    from recattn.jobs.spark_columns import seconds

    forms = {
        "bigint": (f"{START}999L", "ms"),
        "double": (f"{START}.9D", "s"),
        "timestamp": (f"timestamp_seconds({START})", "s"),
        "timestamp_ntz": ("TIMESTAMP_NTZ'2023-11-14 22:13:20.5'", "s"),
        "date": ("DATE'2023-11-14'", "s"),
    }
    for kind, (value, unit) in forms.items():
        frame = spark.sql(f"select {value} as timestamp")
        assert frame.dtypes == [("timestamp", kind)]
        [[found]] = frame.select(seconds(frame, unit, "log")).collect()
        assert found == (1_699_920_000 if kind == "date" else START), kind


def test_what_the_door_refuses_it_says_before_any_task_runs(spark: SparkSession, scene: Scene) -> None:
    log, slate = on(spark, scene.log.head(50)), on(spark, scene.slate)

    def refused(
        error: type[Exception], match: str, log: DataFrame = log, slate: DataFrame = slate, **named: Any
    ) -> None:
        with pytest.raises(error, match=match):
            score_spark(spark, scene.folder, log, slate, **named)

    refused(DataError, "interactions has no column 'item_id'", log.drop("item_id"))
    refused(DataError, "slate has no column 'user_id'", slate=slate.drop("user_id"))
    refused(DataError, "item_id is int in slate", slate=slate.selectExpr("user_id", "1 as item_id", "device", "hour"))
    refused(DataError, "only makes sense as 's'", unit="ms")
    refused(DataError, "holds double; ids of a Spark job", log.selectExpr("1.5D as user_id", "item_id", "timestamp"))
    refused(DataError, "no column 'hour'", slate=slate.drop("hour"), as_of="2024-01-01")
    refused(ConfigError, "stage must be one of", stage="deeper")


def test_rows_at_fault_behind_the_first_hundred_fail_the_job_with_the_reason(spark: SparkSession, scene: Scene) -> None:
    from pyspark.errors import PySparkException

    def fails(match: str, log: pd.DataFrame, users: pd.DataFrame) -> None:
        found = score_spark(spark, scene.folder, on(spark, log), on(spark, scene.slate), user_features=on(spark, users))
        with pytest.raises(PySparkException, match=match):
            found.collect()

    log = scene.log.head(300).reset_index(drop=True)
    fails("null item_id", log.assign(item_id=log["item_id"].where(log.index != 250, None)), scene.users)
    fails("null user_id", log.assign(user_id=log["user_id"].where(log.index != 250, None)), scene.users)
    fails("negative timestamp", log.assign(timestamp=log["timestamp"].where(log.index != 250, -5)), scene.users)
    fails("two rows of the user_id u03", log, pd.concat([scene.users, scene.users.iloc[[3]]]))


def test_the_mlflow_model_scores_in_a_spark_udf(
    spark: SparkSession, plain: Recommender, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from pyspark.sql import functions as F

    from recattn.tracking.flavor import log_model

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("spark", artifact_location=str(tmp_path / "artifacts"))
    with mlflow.start_run(experiment_id=experiment):
        info = log_model(plain, "model")
    log = world.log.sort_values("timestamp", kind="stable")
    rows = log.groupby("user_id", as_index=False).agg(
        history_items=("item_id", list), history_times=("timestamp", list), history_events=("event_type", list)
    )
    rows["candidates"] = [["i00", "never", "i05"]] * len(rows)
    rows["as_of"] = int(log["timestamp"].max()) + 1
    frame = on(spark, rows)
    udf = mlflow.pyfunc.spark_udf(spark, info.model_uri, env_manager="local")
    names = ["history_items", "history_times", "history_events", "as_of", "candidates"]
    found = frame.withColumn("said", udf(F.struct(*names))).select("user_id", "said.*").toArrow().to_pandas()
    slate = rows[["user_id"]].merge(pd.DataFrame({"item_id": ["i00", "never", "i05"]}), how="cross")
    theirs = plain.score(slate, history=world.log).groupby("user_id")["score"].agg(list)
    assert len(found) == len(rows)
    for user, scores in zip(found["user_id"], found["score"], strict=True):
        given = [np.nan if value is None else value for value in scores]
        np.testing.assert_allclose(given, theirs[user], rtol=1e-5, atol=1e-5)
