"""The nightly job for spark-submit: Parquet in, Parquet out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jsonargparse import auto_cli
from pyspark.sql import SparkSession

from recattn.errors import ConfigError, RecattnError
from recattn.jobs.spark import recommend_spark, score_spark


def run(
    model: str,
    interactions: str,
    out: str,
    slate: str | None = None,
    k: int | None = None,
    users: str | None = None,
    user_features: str | None = None,
    as_of: str | None = None,
    order_by: str | None = None,
    exclude_seen: bool = True,
    partitions: int | None = None,
    block_rows: int = 65_536,
) -> None:
    """Score a slate, or recommend k items of the catalog.

    Args:
        model: A model folder on the driver.
        interactions: Parquet of the raw log; this and all other tables at any address Spark reads.
        out: Where the Parquet of the result goes; it must not exist. It is whole when it holds `_SUCCESS`.
        slate: Parquet of candidates.
        k: Items a request, in place of a slate.
        users: Parquet of requests, with `k`; every user of the log without it.
        user_features: Parquet of attributes of users.
        as_of: The moment of rows that name none, such as 2024-05-01; just after the end of the log by default.
        order_by: A column of the log that orders simultaneous rows.
        exclude_seen: Whether seen items are left out, with `k`.
        partitions: Partitions of the shuffle; some two or three a core.
        block_rows: Rows that are scored together.
    """
    if (slate is None) == (k is None):
        raise ConfigError("give either a slate, whose rows are scored, or k, for the best of the catalog.")
    spark = SparkSession.builder.appName("recattn").getOrCreate()
    read = spark.read.parquet
    attributes = None if user_features is None else read(user_features)
    if slate is not None:
        found = score_spark(
            spark,
            model,
            read(interactions),
            read(slate),
            user_features=attributes,
            as_of=as_of,
            order_by=order_by,
            partitions=partitions,
            block_rows=block_rows,
        )
    else:
        assert k is not None
        found = recommend_spark(
            spark,
            model,
            read(interactions),
            None if users is None else read(users),
            k=k,
            exclude_seen=exclude_seen,
            user_features=attributes,
            as_of=as_of,
            order_by=order_by,
            partitions=partitions,
            block_rows=block_rows,
        )
    found.write.mode("errorifexists").parquet(out)
    spark.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    try:
        auto_cli(run, args=arguments, as_positional=False)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
