"""The peak memory of a history store in the making, by the rows of its log.

    python -m pipelines.benchmark.store_memory --rows '[1000000,5000000,20000000]' --budget 500MB

Each step runs in a process of its own over a generated log in Parquet parts of a million rows, by a tenth as many users
as rows, unsorted. The line a size gives: rows; megabytes the process held after its imports; at its peak when building,
when a tenth as many rows were appended, when the segments were put together; seconds of processor time of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jsonargparse import auto_cli

from pipelines.benchmark.speed_process import peak_bytes

PART = 1_000_000
STEPS = ("build", "append", "compact")
START = 1_700_000_000


def generate(folder: Path, rows: int, *, seed: int, users: int) -> None:
    """Parts of an unsorted log: text user ids, 50,000 items by popularity, a year of seconds."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for begin in range(0, rows, PART):
        count = min(PART, rows - begin)
        part = {
            "user_id": pa.array(np.char.add("user-", rng.integers(0, users, count).astype("U9"))),
            "item_id": (50_000 * rng.random(count) ** 3).astype(np.int64),
            "timestamp": START + rng.integers(0, 365 * 86_400, count),
        }
        pq.write_table(pa.table(part), folder / f"part-{begin // PART:05d}.parquet")


def step(what: str, store: str, data: str, budget: str) -> None:
    """One step in this process; its figures as JSON on stdout."""
    from recattn.dataset import HistoryStore
    from recattn.dataset.compact import compact_store

    before, begin = peak_bytes(), time.process_time()
    if what == "build":
        HistoryStore.build(data, store, memory_budget=budget)
    elif what == "append":
        HistoryStore.append(store, data, memory_budget=budget)
    else:
        compact_store(Path(store))
    print(json.dumps({"imports": before, "peak": peak_bytes(), "seconds": time.process_time() - begin}))


def main(rows: list[int], budget: str = "500MB", scratch: str | None = None) -> None:
    """Print the curve.

    Args:
        rows: Sizes of the log.
        budget: The memory budget of each step.
        scratch: Where logs and stores are put for the while.
    """
    print(f"{'rows':>12}  {'imports':>8}  " + "  ".join(f"{what:>8}  {'s':>6}" for what in STEPS))
    for size in rows:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            log, more, store = (Path(folder) / name for name in ("log", "more", "store"))
            generate(log, size, seed=0, users=size // 10)
            generate(more, size // 10, seed=1, users=size // 9)
            found = [_measured(what, store, data, budget) for what, data in zip(STEPS, (log, more, more), strict=True)]
        figures = "  ".join(f"{one['peak'] / 1e6:>8,.0f}  {one['seconds']:>6.1f}" for one in found)
        print(f"{size:>12,}  {found[0]['imports'] / 1e6:>8,.0f}  {figures}", flush=True)


def _measured(what: str, store: Path, data: Path, budget: str) -> dict[str, float]:
    command = [sys.executable, "-m", "pipelines.benchmark.store_memory", "step", what, str(store), str(data), budget]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        step(*sys.argv[2:])
    else:
        auto_cli(main, as_positional=False)
