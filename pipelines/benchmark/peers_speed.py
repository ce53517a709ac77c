"""Pairs a second of the attention of RecBole, FuxiCTR and RecTools, each used its own way, beside ours.

    python -m pipelines.benchmark.peers_speed --peers DIR --rounds 5 --core 1

Each peer runs in its environment (`python -m pipelines.benchmark.peers make recbole --peers DIR`), in a process that
waits while others are timed: rows take turns. One thread for everybody. Two tables: candidates of a request over a
history of 200 (`attention`), and the best 20 of a catalog of 10,000 for all users (`catalog`), from a log in memory to
a frame.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import recattn as ra
from pipelines.benchmark import scoring
from pipelines.benchmark.peers.peer import HERE
from recattn.config import STAGES, ModelConfig, TrainConfig
from recattn.errors import ConfigError, RecattnError

SIZES = {
    "requests": 1,
    "candidates": scoring.CANDIDATES,
    "history": scoring.HISTORY,
    "dim": scoring.DIM,
    "heads": scoring.HEADS,
    "items": scoring.ITEMS,
    "users": 200,
    "k": 20,
}
SCRIPT = HERE / "attention_layers.py"
PEERS = ("recbole", "fuxictr", "rectools")
ATTENTION, CATALOG = "attention", "catalog"
Timed = dict[str, tuple[str, int, Callable[[], float]]]  # row -> table, pairs, seconds of one run


@contextlib.contextmanager
def peer_rows(peer: str, environments: Path, sizes: Mapping[str, Any]) -> Iterator[Timed]:
    """The rows of a peer, its process waiting to be asked.

    Raises:
        ConfigError: Its environment is missing, or its process ends.
    """
    python = environments.expanduser() / peer / "bin" / "python"
    if not python.exists():
        raise ConfigError(
            f"there is no {python}. Make it with `python -m pipelines.benchmark.peers make {peer}`, or name the "
            "folder of the environments by --peers."
        )
    command = [str(python), str(SCRIPT), peer, json.dumps(dict(sizes))]
    environment = os.environ | {"PYTHONPATH": "", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def answer() -> Any:
            line = process.stdout.readline()
            if not line:
                raise ConfigError(f"the process of {peer} ended. Run it by hand to see why: {' '.join(command)!r}")
            return json.loads(line)

        def ask(name: str) -> float:
            process.stdin.write(f"{name}\n")
            process.stdin.flush()
            return float(answer())

        table = CATALOG if peer == "rectools" else ATTENTION
        yield {name: (table, pairs, lambda name=name: ask(name)) for name, pairs in answer().items()}
        process.stdin.close()


def clocked(run: Callable[[], object], least: float = 0.2) -> Callable[[], float]:
    """Seconds of one call, from as many calls as fill `least` seconds."""

    def seconds() -> float:
        calls, begin = 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < least or not calls:
            run()
            calls += 1
        return spent / calls

    return seconds


def own_rows(sizes: Mapping[str, Any]) -> Timed:
    """Ours: the head and the deep layer of `scoring`, and `recommend` by each score."""
    with torch.inference_mode():
        heads = {
            name: row for name, row in scoring.rows().items() if name in ("bare SDPA", "linear head", "deep layer")
        }
    found: Timed = {
        f"recattn {name}" if name != "bare SDPA" else name: (ATTENTION, pairs, clocked(torch.inference_mode()(run)))
        for name, (run, _, pairs) in heads.items()
    }
    log = catalog_log(sizes)
    shape = {name: sizes[name] for name in ("dim",)} | {"num_heads": sizes["heads"], "max_history": sizes["history"]}
    config = ModelConfig(**shape, num_layers=1, score="deep", attention="heads", time="order", ties="order")
    some = log[log["user_id"] < 20]
    model = ra.Recommender(config, TrainConfig(max_epochs=1, batch_size=20, precision="float32"))
    model.fit(some, items=log[["item_id"]].drop_duplicates())
    users, catalog = log["user_id"].unique(), log["item_id"].nunique()
    for stage in STAGES:
        run = lambda stage=stage: model.recommend(users, k=sizes["k"], history=log, stage=stage, threads=1)  # noqa: E731
        found[f"recattn recommend, {stage}"] = (CATALOG, len(users) * catalog, clocked(run))
    return found


def catalog_log(sizes: Mapping[str, Any]) -> pd.DataFrame:
    """The log that the script of the peers makes: every item is there, every user has a full history."""
    users, history = sizes["users"], sizes["history"]
    codes = np.resize(np.random.default_rng(0).permutation(sizes["items"]) + 1, users * history)
    log = pd.DataFrame({"user_id": np.repeat(np.arange(users), history), "item_id": codes})
    return log.assign(timestamp=log.groupby("user_id").cumcount())


def measure(rows: Timed, rounds: int) -> pd.DataFrame:
    """Seconds by row and round, after one round that warms up."""
    lines = []
    for number in range(rounds + 1):
        for name, (table, pairs, seconds) in rows.items():
            spent = seconds()
            if number:
                lines.append({"table": table, "row": name, "round": number, "pairs": pairs, "seconds": spent})
    return pd.DataFrame(lines)


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """Median, least and most seconds of a row; pairs a second by the median. Slowest first within each table."""
    found = times.groupby(["table", "row"], sort=False).agg(
        pairs=("pairs", "first"), seconds=("seconds", "median"), least=("seconds", "min"), most=("seconds", "max")
    )
    found["pairs_per_s"] = (found["pairs"] / found["seconds"]).round()
    return found.reset_index().sort_values(["table", "pairs_per_s"], ignore_index=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("~/.cache/recattn-benchmark/peers"))
    parser.add_argument("--only", nargs="*", default=list(PEERS), choices=PEERS, help="peers to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--out", type=Path, default=scoring.RESULTS / "peers.csv")
    given = parser.parse_args(arguments)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        with contextlib.ExitStack() as stack:
            rows: Timed = {}
            for peer in given.only:
                rows |= stack.enter_context(peer_rows(peer, given.peers, SIZES))
            table = summary(measure(rows | own_rows(SIZES), given.rounds)).round(5)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    given.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out, index=False)
    print(table.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
