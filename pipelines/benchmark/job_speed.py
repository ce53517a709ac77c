"""Pairs a second of a whole scoring job, Parquet to Parquet, beside those of its scorer alone.

    python -m pipelines.benchmark.job_speed --requests 1000 --rounds 5 --core 1

Each request has a history of 200 and 1,000 candidates of its own. Three things take turns: the scorer over batches that
lie ready (`scorer`); batches made of histories and candidates, then scored (`batches`); and the job (`job`): it loads
the model, opens the store, reads the slate, scores, writes parts and their digests, and says `_SUCCESS`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch

import recattn as ra
from pipelines.benchmark.scoring import CANDIDATES, DIM, HEADS, HISTORY, ITEMS, RESULTS
from recattn.batching.batch import RequestBatch
from recattn.config import ModelConfig, Stage, TrainConfig
from recattn.dataset import HistoryStore
from recattn.jobs import ScoreJob, run_job
from recattn.jobs.engine import Engine

STAGES: tuple[Stage, ...] = ("attention", "deep")
LEARNED = 20  # users to fit on: speed does not ask for quality
PART = 250_000  # rows
COLUMNS = ["row", "pairs", "seconds", "cpu_seconds", "pairs_per_s", "of_scorer", "of_scorer_cpu"]


def make_inputs(folder: Path, stage: Stage, requests: int, *, candidates: int = CANDIDATES, dim: int = DIM) -> ScoreJob:
    """A model, a store and a slate below `folder`, and the job that brings them together."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(requests), HISTORY)
    log = pd.DataFrame({"user_id": users, "item_id": rng.integers(1, ITEMS, len(users)), "timestamp": 0})
    log["timestamp"] = log.groupby("user_id").cumcount()
    config = ModelConfig(
        dim=dim, num_heads=HEADS, num_layers=1, score=stage, attention="heads", max_history=HISTORY,
        time="order", ties="order",
    )  # fmt: skip
    train = TrainConfig(max_epochs=1, batch_size=LEARNED, precision="float32")
    some = log[log["user_id"] < LEARNED]
    model = ra.Recommender(config, train).fit(some, items=pd.DataFrame({"item_id": np.arange(1, ITEMS)}))
    model.save(folder / "model")
    log.to_parquet(folder / "log.parquet")
    HistoryStore.build(folder / "log.parquet", folder / "store", time="order")
    write_slate(folder / "slate", requests, candidates)
    files = {name: str(folder / name) for name in ("model", "slate", "out")}
    return ScoreJob(**files, history=str(folder / "store"), threads=1, rows_a_part=PART, overwrite=True)


def write_slate(folder: Path, requests: int, candidates: int, *, users: int | None = None) -> None:
    """Parquet files of at most a million rows: users in order, each with random items; users come round again."""
    folder.mkdir()
    each = max(1, 1_000_000 // candidates)
    for begin in range(0, requests, each):
        asked = np.arange(begin, min(begin + each, requests))
        rng = np.random.default_rng(begin)
        slate = {
            "user_id": np.repeat(asked if users is None else asked % users, candidates),
            "item_id": rng.integers(1, ITEMS, len(asked) * candidates),
        }
        if users is not None:
            slate["request_id"] = np.repeat(asked, candidates)
        pd.DataFrame(slate).to_parquet(folder / f"slate-{begin // each:05d}.parquet", index=False)


def rows(job: ScoreJob) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    engine = Engine.open(job)
    predictor, scorer = engine.predictor, engine.model.scorer
    assert job.slate is not None
    requests = engine.slate(pq.read_table(job.slate))[1]
    batches: list[RequestBatch] = []
    hook = scorer.register_forward_pre_hook(lambda _, given: batches.append(given[0]))
    predictor.score(engine.assembler, requests, stage=engine.stage)
    hook.remove()

    def alone() -> None:
        with predictor.ready():
            for batch in batches:
                scorer(batch, engine.stage)

    return {
        "scorer": alone,
        "batches": lambda: predictor.score(engine.assembler, requests, stage=engine.stage),
        "job": lambda: run_job(job),
    }


def measure(job: ScoreJob, pairs: int, rounds: int) -> pd.DataFrame:
    """Seconds by the clock and of the processor, by row and round, after one round that warms up."""
    lines, timed = [], rows(job)
    for number in range(rounds + 1):
        for name, run in timed.items():
            begin, busy = time.perf_counter(), time.process_time()
            run()
            spent, busy = time.perf_counter() - begin, time.process_time() - busy
            if number:
                line = {"row": name, "round": number, "seconds": spent, "cpu_seconds": busy}
                lines.append(line | {"pairs_per_s": pairs / spent})
    return pd.DataFrame(lines)


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """Medians by row, and of the ratios to the scorer in the same round."""
    alone = times[times["row"] == "scorer"].set_index("round")
    ratios = times.assign(
        of_scorer=times["round"].map(alone["seconds"]) / times["seconds"],
        of_scorer_cpu=times["round"].map(alone["cpu_seconds"]) / times["cpu_seconds"],
    )
    return ratios.groupby("row", sort=False).median().drop(columns="round").reset_index()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help=f"each with {CANDIDATES:,} candidates")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--out", type=Path, default=RESULTS / "job.csv")
    given = parser.parse_args(arguments)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    torch.set_num_threads(1)
    tables = []
    for stage in STAGES:
        with tempfile.TemporaryDirectory() as folder:
            job = make_inputs(Path(folder), stage, given.requests)
            found = summary(measure(job, given.requests * CANDIDATES, given.rounds))
        tables.append(found.assign(stage=stage, pairs=given.requests * CANDIDATES))
    table = pd.concat(tables)[["stage", *COLUMNS]].round(4)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out, index=False)
    print(table.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
