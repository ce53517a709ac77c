"""The batch job on Apache Spark: DataFrames in, a DataFrame out, scored where the rows are."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

try:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import functions as F
    from pyspark.sql import types as t
except ImportError as error:
    raise ImportError("recattn.jobs.spark needs PySpark 4: pip install 'recattn[spark]'.") from error

from recattn.config import STAGES, Stage
from recattn.dataset.doors import candidate_codes
from recattn.errors import ConfigError, listed
from recattn.inference.artifact import load_model
from recattn.inference.model import Blueprint
from recattn.jobs.spark_columns import (
    PLACE,
    check_kinds,
    check_vocabulary,
    end_of,
    names_of,
    read_asked,
    read_log,
    read_who,
)
from recattn.jobs.spark_model import ship
from recattn.jobs.spark_worker import ASKED, ROW, WHO, Task, run_task
from recattn.schema import DataWarning, check_k, moment
from recattn.schema.columns import EVENT, ITEM, POSITION, PROBABILITY, RANK, REASON, REQUEST, SCORE, TIME, USER, WEIGHT
from recattn.schema.times import Unit

BLOCK_ROWS = 65_536
log = logging.getLogger("recattn")


def score_spark(
    spark: SparkSession,
    model: str | Path,
    interactions: DataFrame,
    slate: DataFrame,
    *,
    user_features: DataFrame | None = None,
    as_of: Any = None,
    stage: Stage | None = None,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    order_by: str | None = None,
    partitions: int | None = None,
    block_rows: int = BLOCK_ROWS,
    threads: int = 1,
) -> DataFrame:
    """The slate's rows with `score`, `probability` where the model is calibrated, and `reason`, as
    `Recommender.score` gives them; a row without a score has null. The order of the rows is not kept.

    Log and slate are shuffled once, by user, and sorted within users; each Python process loads the model once and
    scores blocks of many users. Nothing of them goes through the driver but a hundred rows to look at, and the log's
    latest moment where neither the slate nor `as_of` says when.

    Args:
        spark: The session (no Spark Connect).
        model: A model folder on the driver.
        interactions: The raw log, as `read_interactions` takes it; timestamps are numbers, timestamps or dates.
        slate: `user_id`, `item_id`, where known `request_id` (of one user each), `timestamp` and context columns. All
            other columns are carried as they are.
        user_features: Attributes of users, for models that use them.
        as_of: The moment of rows that name none; just after the end of the log by default.
        stage: Use a cheaper score.
        columns: Our name to yours, for the log.
        unit: What numbers in `timestamp` count.
        order_by: A column of the log that orders simultaneous rows; None: the order of the DataFrame's rows.
        partitions: Partitions of the shuffle; None: as `spark.sql.shuffle.partitions` says.
        block_rows: Rows of log and slate that are scored together.
        threads: Threads of torch in each Python process; leave 1 where every core has a task.

    Raises:
        DataError: A column is missing or of a type no model knows; rows at fault fail the tasks that meet them.
        ConfigError: A stage that is not there, or an `as_of` for a model without times.
        ArtifactError: No model there, or a damaged one.
    """
    fitted = load_model(model)
    plan = fitted.blueprint
    slate = slate.drop(SCORE, PROBABILITY, REASON)
    asked = read_asked(slate, "slate", unit=unit, time=plan.config.time, ids=[USER, ITEM])
    check_kinds(slate, "slate", plan.table.vocabulary, "the model", ITEM)
    added = [t.StructField(SCORE, t.FloatType()), t.StructField(REASON, t.StringType())]
    if fitted.calibration is not None and stage in (None, plan.config.score):
        added.insert(1, t.StructField(PROBABILITY, t.FloatType()))
    history = _history(plan, interactions, columns, unit, order_by)
    check_kinds(slate, "slate", history, "interactions", USER)
    task = Task(
        model=ship(spark, model),
        stage=_stage(plan, stage),
        as_of=_moment(plan, history, as_of, TIME in asked.columns),
        timed=TIME in asked.columns,
        columns=_describing(plan, slate),
        block_rows=block_rows,
        threads=threads,
    )
    return _run(task, plan, history, asked, user_features, t.StructType([*slate.schema.fields, *added]), partitions)


def recommend_spark(
    spark: SparkSession,
    model: str | Path,
    interactions: DataFrame,
    users: DataFrame | None = None,
    *,
    k: int = 10,
    exclude_seen: bool = True,
    candidates: Iterable[Any] | None = None,
    user_features: DataFrame | None = None,
    as_of: Any = None,
    stage: Stage | None = None,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    order_by: str | None = None,
    partitions: int | None = None,
    block_rows: int = BLOCK_ROWS,
    threads: int = 1,
) -> DataFrame:
    """The best k items a request, as `Recommender.recommend` gives them: `[request_id,] user_id, item_id, score, rank`.

    Args:
        spark: The session (no Spark Connect).
        model: A model folder on the driver.
        interactions: The raw log.
        users: `user_id`, where known `request_id`, `timestamp`, `position` and context columns, one row a request.
            None: every user of the log.
        k: Items a request; fewer where fewer may be recommended.
        exclude_seen: Whether items anywhere in the visible history are left out.
        candidates: Item ids to choose from; None: all recommendable items of the catalog.
        user_features: Attributes of users, for models that use them.
        as_of: The moment of requests that name none; just after the end of the log by default.
        stage: Use a cheaper score.
        columns: Our name to yours, for the log.
        unit: What numbers in `timestamp` count.
        order_by: A column of the log that orders simultaneous rows.
        partitions: Partitions of the shuffle.
        block_rows: Rows of log and requests that are scored together.
        threads: Threads of torch in each Python process.

    Raises:
        DataError, ConfigError, ArtifactError: As `score_spark`; `k` below 1, or no candidate in the catalog.
    """
    check_k(k)
    plan = load_model(model).blueprint
    codes = None if candidates is None else candidate_codes(candidates, plan.table)
    history = _history(plan, interactions, columns, unit, order_by)
    if users is None:
        users = history.select(USER).distinct()
        asked = users.select(USER, F.lit(0).alias(PLACE), F.struct(USER).alias(ROW))
    else:
        asked = read_asked(users, "users", unit=unit, time=plan.config.time, ids=[USER])
        check_kinds(users, "users", history, "interactions", USER)
    kind = t.LongType() if plan.table.vocabulary.ids.dtype.kind == "i" else t.StringType()
    given = [users.schema[name] for name in (REQUEST, USER) if name in users.columns]
    found = [t.StructField(ITEM, kind), t.StructField(SCORE, t.FloatType()), t.StructField(RANK, t.LongType())]
    task = Task(
        model=ship(spark, model),
        stage=_stage(plan, stage),
        as_of=_moment(plan, history, as_of, TIME in asked.columns),
        timed=TIME in asked.columns,
        columns=_describing(plan, users),
        block_rows=block_rows,
        threads=threads,
        k=k,
        exclude_seen=exclude_seen,
        candidates=codes,
    )
    return _run(task, plan, history, asked, user_features, t.StructType([*given, *found]), partitions)


def _history(
    plan: Blueprint, interactions: DataFrame, columns: Mapping[str, str] | None, unit: Unit, order_by: str | None
) -> DataFrame:
    check_vocabulary(plan.table.vocabulary)
    used = [*([EVENT] if plan.behaviours is not None else []), *([WEIGHT] if plan.config.use_weights else [])]
    time = plan.config.time
    history = read_log(interactions, columns=columns, unit=unit, time=time, order_by=order_by, wanted=used)
    check_kinds(history, "interactions", plan.table.vocabulary, "the model", ITEM)
    return history


def _moment(plan: Blueprint, history: DataFrame, as_of: Any, timed: bool) -> int | None:
    if plan.config.time == "order":
        if as_of is not None:
            raise ConfigError(f"as_of={as_of!r} needs times, but the model was fitted with time='order'.")
        return None
    if as_of is not None:
        return moment(as_of, "as_of")
    if timed:
        return None
    end = end_of(history, plan.table.vocabulary)
    if end is not None:
        log.info("as_of is %s, just after the end of the history", pd.Timestamp(end, unit="s"))
    return end


def _stage(plan: Blueprint, stage: Stage | None) -> Stage | None:
    has = STAGES[: STAGES.index(plan.config.score) + 1]
    if stage is not None and stage not in has:
        raise ConfigError(f"stage must be one of {', '.join(has)}, the scores this model has, got {stage!r}.")
    return stage


def _describing(plan: Blueprint, frame: DataFrame) -> tuple[str, ...]:
    """Columns of the rows asked about, beside ids and times, that a score depends on."""
    context = [spec.column for spec in plan.context.specs]
    if set(context) & set(frame.columns):
        plan.context.check_same(names_of(frame))
    elif context:
        warnings.warn(
            f"the rows have none of the context columns the model was fitted with ({listed(context)}): all of it "
            "counts as missing. Pass a DataFrame that has them.",
            DataWarning,
            stacklevel=3,
        )
    wanted = dict.fromkeys([REQUEST, POSITION, *context])
    return tuple(name for name in wanted if name in frame.columns and name not in (USER, ITEM, TIME))


def _run(
    task: Task,
    plan: Blueprint,
    history: DataFrame,
    asked: DataFrame,
    user_features: DataFrame | None,
    schema: t.StructType,
    partitions: int | None,
) -> DataFrame:
    """Both sides by user, the log of a user before what is asked about, through the model."""
    asked = asked.withColumn(ASKED, F.lit(True))
    names = [spec.column for spec in plan.users.specs]
    if names and user_features is not None:
        who = read_who(user_features, names, WHO)
        check_kinds(user_features, "users", history, "interactions", USER)
        asked = asked.join(who, USER, "left")
    elif names:
        warnings.warn(
            f"the model was fitted with attributes of users ({listed(names)}) and no user_features are given: all of "
            "them count as missing. Pass them.",
            DataWarning,
            stacklevel=3,
        )
    both = history.withColumn(ASKED, F.lit(False)).unionByName(asked, allowMissingColumns=True)
    if partitions is None:  # as a number: Spark would join partitions of few bytes, and these cost time, not bytes
        partitions = int(both.sparkSession.conf.get("spark.sql.shuffle.partitions") or 200)
    rows = both.repartition(partitions, USER).sortWithinPartitions(USER, ASKED, TIME, PLACE).drop(PLACE)
    return rows.mapInArrow(functools.partial(run_task, task), schema)
