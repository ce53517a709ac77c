"""Rows a second of the Spark job on one local executor and on two, on a generated log."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli

from recattn import ModelConfig, Recommender, TrainConfig
from recattn.dataset.synthetic import make_world


def run(users: int = 2_000, candidates: int = 100, cores: tuple[int, ...] = (1, 2, 2, 1)) -> None:
    """Print a line for each number of cores: rows of the slate a second, start of Spark and first use left out.

    Two lines of one number that differ by much tell of other work on the machine, as does the load beside them. The
    first line is the Recommender on one thread.

    Args:
        users: Users of the log, each with one slate.
        candidates: Rows a slate.
        cores: Local cores to try, one after another; there and back, so that a drift of the machine shows.
    """
    world = make_world(users, 500, seed=0)
    rng = np.random.default_rng(0)
    items = world.items["item_id"].to_numpy()
    slate = pd.DataFrame(
        {
            "user_id": np.repeat(world.interactions["user_id"].unique(), candidates),
            "item_id": rng.choice(items, candidates * world.interactions["user_id"].nunique()),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        model = Recommender(ModelConfig(dim=64, num_heads=4, attention="both"), TrainConfig(max_epochs=1, seed=0))
        model.fit(world.interactions.head(5_000), items=world.items).save(f"{folder}/model")
        world.interactions.to_parquet(f"{folder}/log.parquet", index=False)
        slate.to_parquet(f"{folder}/slate.parquet", index=False)
        began = time.perf_counter()
        total = model.score(slate, history=world.interactions, threads=1)["score"].sum()
        speed = len(slate) / (time.perf_counter() - began)
        print(f"Recommender: {speed:,.0f} rows a second, sum {total:.2f}", flush=True)
        for count in cores:
            timed = [sys.executable, __file__, "--folder", folder, "--cores", str(count)]
            subprocess.run(timed, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def once(folder: Path, cores: int) -> None:
    """Print the speed of one Spark, in this process."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    from recattn.jobs.spark import score_spark

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    log, slate = (spark.read.parquet(f"{folder}/{name}.parquet") for name in ("log", "slate"))
    taken = []
    for _ in range(4):  # the first loads models and warms the JVM
        began = time.perf_counter()
        scored = score_spark(spark, folder / "model", log, slate, partitions=4)
        rows, total = scored.agg(F.count("score"), F.sum("score")).collect()[0]
        taken.append(time.perf_counter() - began)
    each = ", ".join(f"{seconds:.1f}" for seconds in taken)
    speed, load = rows / min(taken[1:]), os.getloadavg()[0]
    print(f"local[{cores}]: {speed:,.0f} rows a second, sum {total:.2f} ({each} s; load {load:.1f})", flush=True)
    spark.stop()


if __name__ == "__main__":
    auto_cli(once if "--folder" in sys.argv else run, as_positional=False)
