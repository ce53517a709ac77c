"""The peak memory of a scoring job, by the pairs it scores, with the same memory budget.

    python -m pipelines.benchmark.job_memory --pairs 1 5 20 50 --budget 1GB --core 1

Pairs in millions. The slate lies in Parquet files of a million rows, 1,000 candidates a request; 1,000 users with
histories of 200 come round again under new request ids. A small model (dim 16, linear head) scores, so that many pairs
take minutes. Each job runs in a process of its own, which tells its peak once the libraries are loaded and at its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.benchmark.job_speed import make_inputs, write_slate
from pipelines.benchmark.scoring import CANDIDATES, RESULTS
from pipelines.benchmark.speed_process import peak_bytes
from recattn.jobs import ScoreJob, run_job
from recattn.jobs.budget import parse_bytes

USERS, SMALL = 1000, 16
MILLION = 1_000_000


def step(settings: str) -> None:
    """One job in this process; its figures as JSON on stdout."""
    import recattn.inference.artifact
    import recattn.jobs.engine  # noqa: F401  (all that a job imports)

    imports, begin = peak_bytes(), time.perf_counter()
    result = run_job(ScoreJob(**json.loads(settings)))
    print(json.dumps({"imports": imports, "peak": peak_bytes(), "seconds": time.perf_counter() - begin,
                      "rows": result.rows, "parts": result.parts}))  # fmt: skip


def measure(job: ScoreJob, scratch: Path, requests: int, *, candidates: int, users: int) -> dict[str, Any]:
    """The figures of the job over a slate of so many requests, made in `scratch` for the while."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        slate = Path(folder) / "slate"
        write_slate(slate, requests, candidates, users=users)
        one = replace(job, slate=str(slate), out=str(Path(folder) / "out"))
        settings = {name: value for name, value in asdict(one).items() if name not in ("fail_if", "columns")}
        command = [sys.executable, "-m", "pipelines.benchmark.job_memory", "step", json.dumps(settings)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    names = ("imports", "peak")
    sizes = {f"{name}_mb": round(found[name] / 1e6, 1) for name in names}
    return {
        "pairs": requests * candidates,
        "rows": found["rows"],
        "parts": found["parts"],
        **sizes,
        "beside_libraries_mb": round((found["peak"] - found["imports"]) / 1e6, 1),
        "seconds": round(found["seconds"], 1),
    }


def picture(table: pd.DataFrame, budget: float, path: Path) -> None:
    """What a job holds beside its libraries, over the pairs it scores."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.axhline(budget, color="#8d99ae", linestyle="--", linewidth=1)
    axes.text(table["pairs"].max() / 1e6, budget, "memory_budget", ha="right", va="bottom", color="#5c677d", fontsize=8)
    axes.plot(table["pairs"] / 1e6, table["beside_libraries_mb"], "o-", color="#1f2d3d")
    axes.set(xscale="log", ylim=(0, 1.15 * max(budget, table["beside_libraries_mb"].max())),
             xlabel="pairs scored, millions", ylabel="MB at the peak, beside the libraries")  # fmt: skip
    axes.set_xticks(table["pairs"] / 1e6)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    axes.set_title("Peak memory of a scoring job", fontsize=11)
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the curve; the exit status. Files grow with every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=float, nargs="+", default=[1, 5, 20, 50], help="millions")
    parser.add_argument("--budget", default="1GB")
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--scratch", type=Path, help="where slates and results are put for the while")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    given.out.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        job = make_inputs(Path(scratch), "attention", USERS, candidates=1, dim=SMALL)
        job = replace(job, memory_budget=given.budget, rows_a_part=None)
        for millions in given.pairs:
            requests = int(millions * MILLION) // CANDIDATES
            lines.append(measure(job, Path(scratch), requests, candidates=CANDIDATES, users=USERS))
            table = pd.DataFrame(lines).assign(budget=given.budget)
            table.to_csv(given.out / "memory.csv", index=False)
            picture(table, parse_bytes(given.budget) / 1e6, given.out / "memory.png")
            print(table.tail(1).to_string(index=False, header=len(lines) == 1), flush=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        step(sys.argv[2])
    else:
        sys.exit(main())
