"""Seconds of a training epoch, data loading included, beside RecTools; or seconds to a validation NDCG@10.

python -m pipelines.benchmark.speed --data DIR --rounds 5 --peers DIR
python -m pipelines.benchmark.speed --data DIR --peers DIR --to_quality 0.15 --epochs 40
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import recattn as ra
from pipelines.benchmark.speed_rows import ROWS, Row, chosen, python_of, read_rows, runnable
from pipelines.benchmark.speed_table import epochs_table, quality_table, text_of
from recattn.dataset.synthetic import make_world
from recattn.errors import ConfigError, RecattnError

RESULTS = Path(__file__).parent / "results" / "speed"
PEERS = Path.home() / ".cache" / "recattn-benchmark" / "peers"
SCRIPT = Path(__file__).parent / "speed_rectools.py"
ALLOCATORS = {
    "glibc": {},  # as the system comes
    "glibc-keep": {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)},  # gives nothing back
}
SHORT_USERS = 40


@dataclass(frozen=True)
class Settings:
    """What is the same for all processes of a measurement.

    Attributes:
        core: The core they keep to; None leaves it to the system.
        threads: Threads of torch, OpenMP and MKL.
        allocator: A key of `ALLOCATORS`.
        warm_up: Steps before anything is timed.
        epochs: Epochs timed in one process; with `target`, epochs at most.
        target: The NDCG@10 to reach; None times epochs only.
        seed: Of weights and batches.
    """

    core: int | None
    threads: int = 1
    allocator: str = "glibc"
    warm_up: int = 5
    epochs: int = 1
    target: float | None = None
    seed: int = 0


def measure(row: Row, files: dict[str, str], settings: Settings, peers: Path) -> dict[str, Any]:
    """One process of one row; ConfigError with the end of what it said where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        spec, made = Path(folder) / "spec.json", Path(folder) / "out.json"
        spec.write_text(json.dumps({"row": asdict(row)} | files | asdict(settings)))
        start = [sys.executable, "-m", "pipelines.benchmark.speed_ours"]
        if row.peer is not None:
            start = [str(python_of(row, peers)), str(SCRIPT)]
        done = subprocess.run([*start, str(spec), str(made)], env=environment(settings), capture_output=True, text=True)
        if done.returncode or not made.exists():
            raise ConfigError(f"the process of row {row.name!r} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return {"row": row.name} | json.loads(made.read_text())


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with the same threads and allocator for everybody, and no GPU."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "LD_PRELOAD", "PYTHONPATH"))}
    threads = {name: str(settings.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    quiet = {"CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    return kept | threads | quiet | ALLOCATORS[settings.allocator]


def write_data(data: str | None, folder: Path, *, users: int | None) -> dict[str, Any]:
    """Leave-one-out training rows (and validation rows) as CSV, in each user's order; what they are.

    Args:
        data: A folder with `interactions.parquet` (or any log `recattn` reads); None generates one.
        folder: Where the files go.
        users: Users to keep, the first ones; None keeps all.
    """
    if data is None:
        log = make_world(n_users=users or 6000, n_items=200 if users else 3400, seed=0).interactions
    else:
        log = pd.read_parquet(Path(data) / "interactions.parquet", columns=["user_id", "item_id", "timestamp"])
    if users is not None:
        log = log[log["user_id"].isin(log["user_id"].unique()[:users])]
    split = ra.leave_last_out(log, time="order")
    files = {}
    for name, part in (("train", split.train), ("valid", split.valid)):
        files[name] = str(folder / f"{name}.csv")
        part = part.sort_values(["user_id", "timestamp"], kind="stable")
        part[["user_id", "item_id", "timestamp"]].to_csv(files[name], index=False)
    counts = {"users": split.train["user_id"].nunique(), "items": split.train["item_id"].nunique()}
    name = "generated" if data is None else Path(data).resolve().name
    return {"files": files, "data": {"name": name, **counts, "interactions": len(split.train)}}


def run(
    rows: Sequence[Row],
    settings: Settings,
    *,
    data: str | None,
    rounds: int,
    peers: Path,
    out: Path,
    users: int | None = None,
    command: str = "",
) -> pd.DataFrame:
    """Rows round by round, each in a process of its own; the files in `out` grow with every process."""
    rows, left = runnable(rows, peers)
    for name, why in left.items():
        print(f"left out: {name}: {why}", flush=True)
    if not rows:
        raise ConfigError("there is no row to measure.")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        written = write_data(data, Path(folder), users=users)
        files = written["files"] | ({} if settings.target is not None else {"valid": None})
        found: dict[str, Any] = {
            "command": command,
            "data": written["data"],
            "settings": asdict(settings) | {"environment": ALLOCATORS[settings.allocator], "rounds": rounds},
            "rows": [asdict(row) for row in rows],
            "left_out": left,
            "measurements": [],
        }
        stem = (
            written["data"]["name"] + ("" if settings.target is None else "-to-quality") + ("-short" if users else "")
        )
        table = pd.DataFrame()
        for number in range(rounds):
            turn = number % len(rows)  # nobody is always first
            for row in [*rows[turn:], *rows[:turn]]:
                one = measure(row, files, settings, peers) | {"round": number}
                found["machine"] = one.pop("machine") if row.peer is None else found.get("machine", one["machine"])
                found["measurements"].append(one)
                print(f"round {number}: {row.name}: {[round(s, 2) for s in one['epoch_seconds']]} s", flush=True)
                table = (epochs_table if settings.target is None else quality_table)(found)
                (out / f"{stem}.json").write_text(json.dumps(found, indent=1) + "\n")
                (out / f"{stem}.md").write_text(text_of(found, table))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", help="folder with interactions.parquet (user_id, item_id, timestamp); needed unless --short"
    )
    parser.add_argument("--rounds", type=int, default=None, help="processes a row, taken in turns (5; to a quality: 1)")
    parser.add_argument(
        "--peers", type=Path, default=PEERS, help="folder of the peers' environments (rectools/bin/python)"
    )
    parser.add_argument("--only", nargs="+", help="names of the rows to measure")
    parser.add_argument("--rows", help="a JSON file of further rows")
    parser.add_argument("--to_quality", type=float, help="time the training until this validation NDCG@10")
    parser.add_argument("--epochs", type=int, default=None, help="epochs in a process (1; to a quality: 40 at most)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="core to keep to; -1: any")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--allocator", choices=list(ALLOCATORS), default="glibc")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--short", action="store_true", help=f"only {SHORT_USERS} users: does everything run?")
    given = parser.parse_args(arguments)
    target = given.to_quality
    settings = Settings(
        core=None if given.core < 0 else given.core,
        threads=given.threads,
        allocator=given.allocator,
        epochs=given.epochs or (1 if target is None else 40),
        target=target,
        seed=given.seed,
        warm_up=1 if given.short else 5,
    )
    try:
        if given.data is None and not given.short:
            raise ConfigError("--data is missing. Name the folder with interactions.parquet, or give --short.")
        rows = chosen([*ROWS, *(read_rows(given.rows) if given.rows else ())], given.only)
        table = run(
            rows,
            settings,
            data=given.data,
            rounds=given.rounds or (5 if target is None else 1),
            peers=given.peers,
            out=given.out,
            users=SHORT_USERS if given.short else None,
            command=shown(arguments),
        )
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table.to_string(index=False))
    return 0


def shown(arguments: Sequence[str] | None) -> str:
    """The command, with folders by their last name: where they lie is nobody's business."""
    words = [Path(word).name if "/" in word else word for word in (sys.argv[1:] if arguments is None else arguments)]
    return " ".join(["python -m pipelines.benchmark.speed", *words])


if __name__ == "__main__":
    sys.exit(main())
