"""Tests of the batch job on Spark with executors of their own, one of which dies."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", minversion="4.0", reason="PySpark is not installed")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("no Java here", allow_module_level=True)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from recattn.recommender import Recommender

from recattn.jobs.spark import score_spark


@pytest.fixture(scope="module")
def cluster(make_spark: Any) -> Iterator[SparkSession]:
    """Two executors of one core, each a process."""
    more = {"spark.executor.memory": "512m", "spark.sql.execution.arrow.maxRecordsPerBatch": "4"}
    session = make_spark("local-cluster[2,1,512]", more)
    yield session
    session.stop()


def test_an_executor_killed_in_the_middle_changes_nothing(
    cluster: SparkSession, plain: Recommender, world: Any, tmp_path: Path
) -> None:
    once = str(tmp_path / "killed")

    def kill(batches: Iterator[Any]) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            if number == 1 and not os.path.exists(once):
                daemon = os.getppid()
                with open(f"/proc/{daemon}/stat") as file:
                    executor = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{executor}/cmdline") as file:
                    assert "CoarseGrainedExecutorBackend" in file.read()
                with open(once, "w") as file:
                    file.write(str(executor))
                os.kill(executor, signal.SIGKILL)
            yield batch

    plain.save(tmp_path / "model")
    slate = world.log[["user_id"]].drop_duplicates().merge(pd.DataFrame({"item_id": ["i01", "i07", "no"]}), how="cross")
    log, asked = (
        cluster.createDataFrame(pa.Table.from_pandas(frame, preserve_index=False)) for frame in (world.log, slate)
    )
    scored = score_spark(cluster, tmp_path / "model", log, asked, partitions=2, block_rows=20)
    found = scored.mapInArrow(kill, scored.schema).toArrow().to_pandas()
    assert os.path.exists(once), "nobody was killed"
    found = found.sort_values(["user_id", "item_id"], ignore_index=True)
    theirs = plain.score(slate, history=world.log).sort_values(["user_id", "item_id"], ignore_index=True)
    assert found[["user_id", "item_id"]].values.tolist() == theirs[["user_id", "item_id"]].values.tolist()
    np.testing.assert_allclose(found["score"], theirs["score"], rtol=1e-5, atol=1e-5)
