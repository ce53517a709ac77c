"""From the DataFrames of a Spark job to the columns its processes read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from recattn.config import Time
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, DataError
from recattn.schema import check_ids, check_same_kind, read_interactions, require
from recattn.schema.columns import ITEM, TIME, USER, WEIGHT
from recattn.schema.ids import id_kind
from recattn.schema.names import rename
from recattn.schema.rows import settle
from recattn.schema.times import SCALES, Unit, check_unit, read_times

PLACE = "place"
LOOKED_AT = 100  # rows that the driver sees of a frame, to say at once what is wrong with all
CASTS = {"int": "bigint", "str": "string"}


def col(name: str) -> Column:
    """A column by its name, dots and all."""
    return F.col("`" + name.replace("`", "``") + "`")


def names_of(frame: DataFrame) -> pd.DataFrame:
    """A frame of the same columns without rows, for doors that look at names."""
    return pd.DataFrame(columns=frame.columns)


def read_log(
    log: DataFrame,
    *,
    columns: Mapping[str, str] | None,
    unit: Unit,
    time: Time,
    order_by: str | None,
    wanted: Sequence[str],
) -> DataFrame:
    """`user_id`, `item_id`, `timestamp` (seconds; what orders a log without times), `wanted`, `place` of each row.

    Rows with lists in `item_id` are taken apart. Simultaneous rows go by the column `order_by`, else as the rows of the
    DataFrame do, which is the order of the files.

    Raises:
        DataError: A missing column, ids or times of a type no model knows, or first rows that no door lets through.
    """
    what = "interactions"
    log = log.toDF(*rename(names_of(log), columns, what).columns)
    if WEIGHT not in log.columns and "rating" in log.columns:
        log = log.withColumnRenamed("rating", WEIGHT)
    needed = [USER, ITEM, *([TIME] if time == "timestamp" else []), *([order_by] if order_by else [])]
    require(names_of(log), needed, what)
    used = [name for name in (USER, ITEM, TIME, *wanted) if name in log.columns]
    names = list(dict.fromkeys([*used, *needed]))
    log = log.select(*[col(name) for name in names])
    if isinstance(log.schema[ITEM].dataType, t.ArrayType):
        lists = [name for name in names if isinstance(log.schema[name].dataType, t.ArrayType)]
        log = log.withColumn("lists", F.explode(F.arrays_zip(*map(col, lists)))).select(
            *[F.col("lists")[name].alias(name) if name in lists else col(name) for name in names]
        )
    ids = [key(log, name, what) for name in (USER, ITEM)]
    when = F.lit(0).cast("bigint")
    if TIME in names:
        when = seconds(log, unit, what) if time == "timestamp" else F.col(TIME)
    read_interactions(_first_rows(log, used), unit=unit, time=time)
    place = col(order_by) if order_by else F.monotonically_increasing_id()
    return log.select(
        *ids,
        when.alias(TIME),
        *[col(name) for name in wanted if name in names],
        place.alias(PLACE),
    )


def read_asked(frame: DataFrame, what: str, *, unit: Unit, time: Time, ids: Sequence[str]) -> DataFrame:
    """`ids` of rows asked about, `timestamp` where they name a moment that counts, `place`, and the `row` as given.

    Raises:
        DataError: A missing column, ids or times of a type no model knows, or first rows that no door lets through.
    """
    require(names_of(frame), ids, what)
    keys = [key(frame, name, what) for name in ids]
    seen = _first_rows(frame, list(ids))
    for name in ids:
        check_ids(seen[name], name, what)
    if TIME in frame.columns and time == "timestamp":
        keys.append(seconds(frame, unit, what).alias(TIME))
        seen = _first_rows(frame, [TIME])
        if len(seen):
            settle(what, read_times(seen[TIME], what=what, unit=unit)[1], "error", droppable=False)
    row = F.struct(*[col(name) for name in frame.columns])
    return frame.select(*keys, F.monotonically_increasing_id().alias(PLACE), row.alias("row"))


def read_who(users: DataFrame, names: Sequence[str], alias: str) -> DataFrame:
    """`user_id` with the attributes `names` as one column; the job fails where a user has two rows."""
    require(names_of(users), [USER, *names], "users")
    attributes = F.first(F.struct(*[col(name) for name in names]))
    twice = F.raise_error(F.concat(F.lit("users has two rows of the user_id "), F.col(USER).cast("string")))
    return (
        users.withColumn(USER, key(users, USER, "users"))
        .groupBy(USER)
        .agg(attributes.alias(alias), F.count(F.lit(1)).alias("rows"))
        .select(USER, F.when(F.col("rows") > 1, twice).otherwise(F.col(alias)).alias(alias))
    )


def _first_rows(frame: DataFrame, names: list[str]) -> pd.DataFrame:
    rows = frame.select(*[col(name) for name in names]).limit(LOOKED_AT).collect()
    return pd.DataFrame([tuple(row) for row in rows], columns=names)


def key(frame: DataFrame, name: str, what: str) -> Column:
    """Ids as whole numbers of one width, or text."""
    kind = frame.schema[name].dataType
    if isinstance(kind, t.IntegralType):
        return col(name).cast("bigint").alias(name)
    if isinstance(kind, t.StringType):
        return col(name).cast("string").alias(name)
    raise DataError(
        f"{what}: column {name!r} holds {kind.simpleString()}; ids of a Spark job are whole numbers or text. "
        f"Cast it, for instance with F.col({name!r}).cast('string')."
    )


def check_kinds(frame: DataFrame, what: str, other: Any, other_what: str, name: str) -> None:
    """DataError where ids can never meet; `other` is a DataFrame or a Vocabulary."""
    theirs = pd.Series(other.ids) if isinstance(other, Vocabulary) else _example(other, name)
    check_same_kind(_example(frame, name), what, theirs, other_what, name)


def _example(frame: DataFrame, name: str) -> pd.Series:
    return pd.Series([1] if isinstance(frame.schema[name].dataType, t.IntegralType) else ["1"])


def seconds(frame: DataFrame, unit: Unit, what: str) -> Column:
    """The column `timestamp` in whole seconds UTC; what has no time zone is UTC."""
    check_unit(unit)
    kind, column = frame.schema[TIME].dataType, F.col(TIME)
    if isinstance(kind, t.IntegralType):
        return F.expr(f"cast({TIME} as bigint) div {SCALES[unit]}")
    if isinstance(kind, t.FractionalType):
        return F.when(~F.isnan(column.cast("double")), F.floor(column / SCALES[unit])).cast("bigint")
    if isinstance(kind, t.TimestampType):
        return column.cast("bigint")
    if isinstance(kind, t.TimestampNTZType):
        return F.expr(f"cast(cast({TIME} - TIMESTAMP_NTZ'1970-01-01 00:00:00' as interval second) as bigint)")
    if isinstance(kind, t.DateType):
        return F.unix_date(column).cast("bigint") * 86_400
    raise DataError(
        f"{what}: column 'timestamp' holds {kind.simpleString()}; a Spark job takes numbers, timestamps and dates. "
        "Convert it, for instance with F.to_timestamp."
    )


def end_of(log: DataFrame, vocabulary: Vocabulary) -> int | None:
    """The first second after every interaction with an item of the vocabulary; None where there is none."""
    kind = CASTS[id_kind(pd.Series(vocabulary.ids))]
    ids = pa.array(vocabulary.ids, pa.int64() if kind == "bigint" else pa.string())
    known = log.sparkSession.createDataFrame(pa.table({ITEM: ids}))
    latest = log.join(known, ITEM, "left_semi").agg(F.max(TIME)).collect()[0][0]
    return None if latest is None else int(latest) + 1


def check_vocabulary(vocabulary: Vocabulary) -> None:
    """ConfigError for a model whose item ids are of a kind that Spark jobs do not know."""
    kind = id_kind(pd.Series(vocabulary.ids))
    if kind not in CASTS:
        raise ConfigError(f"the model's item ids are of kind {kind}; a Spark job takes whole numbers or text.")
