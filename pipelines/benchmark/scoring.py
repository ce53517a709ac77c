"""Candidates scored in a second on the CPU, beside what the processor and a plain loop reach.

python -m pipelines.benchmark.scoring --rounds 5 --core 0
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from recattn.batching.batch import HistoryBatch, RequestBatch
from recattn.config import ModelConfig, Stage
from recattn.nn.item_encoder import ItemEncoder
from recattn.nn.scorer import Scorer

RESULTS = Path(__file__).parent / "results" / "scoring"
REQUESTS, CANDIDATES, HISTORY, DIM, HEADS, ITEMS = 8, 1000, 200, 64, 4, 10_000
PAIRS = REQUESTS * CANDIDATES
FLOP = 4 * HISTORY * DIM  # a pair: queries times keys and weights times values, nothing else


def scorer_of(stage: Stage) -> Scorer:
    """An untrained scorer whose head and deep layer say something."""
    config = ModelConfig(
        dim=DIM, num_heads=HEADS, num_layers=1, score=stage, attention="heads", time="order", ties="order"
    )
    scorer = Scorer(config, ItemEncoder(torch.arange(ITEMS + 1), None, None, DIM)).eval()
    for weight in scorer.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.1)
    return scorer


def requests() -> RequestBatch:
    """Requests with full histories, each with candidates of its own."""
    items = torch.randint(1, ITEMS, (REQUESTS, HISTORY))
    history = HistoryBatch(items, torch.ones_like(items, dtype=torch.bool), None, None, None)
    return RequestBatch(history, None, torch.randint(1, ITEMS, (REQUESTS, CANDIDATES)), None, None, None)


def term(scorer: Scorer, batch: RequestBatch, stage: Stage) -> Callable[[], Tensor]:
    """What `stage` adds for all candidates: keys and values of the histories, then the attention of candidates."""
    states = scorer.encode(batch.history)
    assert batch.candidates is not None
    items, ends = scorer.items(batch.candidates), torch.full((REQUESTS,), HISTORY)

    def run() -> Tensor:
        prefixes = scorer.prefixes(batch.history, states, torch.arange(REQUESTS), ends, None, None, stage)
        return scorer.attention_term(prefixes, items) if stage == "attention" else scorer.deep_term(prefixes, items)

    return run


def product() -> Callable[[], Tensor]:
    """A large float32 matrix product: what the processor can do."""
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return lambda: left @ right


def bare_attention() -> Callable[[], Tensor]:
    """SDPA alone, of candidates over histories: no projection, no null pair, no bias."""
    q, k, v = (torch.randn(REQUESTS, HEADS, n, DIM // HEADS) for n in (CANDIDATES, HISTORY, HISTORY))
    return lambda: scaled_dot_product_attention(q, k, v)


def plain_layer() -> Callable[[], Tensor]:
    """One deep layer as one writes it down: norm, projections, SDPA, join, feed-forward."""
    states, items = torch.randn(REQUESTS, HISTORY, DIM), torch.randn(REQUESTS, CANDIDATES, DIM)
    wq, wk, wv, wo, wr = (torch.randn(DIM, DIM) * 0.1 for _ in range(5))
    w1, w2 = torch.randn(2 * DIM, DIM) * 0.1, torch.randn(DIM, 2 * DIM) * 0.1

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)

    def run() -> Tensor:
        q = heads(linear(layer_norm(items, (DIM,)), wq))
        found = scaled_dot_product_attention(q, heads(linear(states, wk)), heads(linear(states, wv)))
        mixed = layer_norm(linear(found.transpose(1, 2).flatten(2), wo) + linear(items, wr), (DIM,))
        return items + linear(gelu(linear(mixed, w1)), w2)

    return run


def rows() -> dict[str, tuple[Callable[[], Tensor], float, int]]:
    """What is timed, its FLOP as counted here, and the pairs it scores."""
    batch = requests()
    return {
        "float32 matrix product, 1024": (product(), 2 * 1024**3, 0),
        "bare SDPA": (bare_attention(), FLOP * PAIRS, PAIRS),
        "linear head": (term(scorer_of("attention"), batch, "attention"), FLOP * PAIRS, PAIRS),
        "plain deep layer": (plain_layer(), FLOP * PAIRS, PAIRS),
        "deep layer": (term(scorer_of("deep"), batch, "deep"), FLOP * PAIRS, PAIRS),
    }


def measure(rounds: int, *, least: float = 0.3) -> pd.DataFrame:
    """Seconds a call by row and round; rows take turns, each for at least `least` seconds a round."""
    lines = []
    with torch.inference_mode():
        timed = rows()
        for number in range(rounds + 1):
            for name, (run, flop, pairs) in timed.items():
                calls, begin = 0, time.perf_counter()
                while (spent := time.perf_counter() - begin) < least:
                    run()
                    calls += 1
                if number:  # the first round warms up
                    lines.append({"row": name, "round": number, "seconds": spent / calls, "flop": flop, "pairs": pairs})
    return pd.DataFrame(lines)


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """Medians by row: GFLOP/s, pairs/s, and the ratio to the row it is held against."""
    table = times.groupby("row", sort=False).agg(
        seconds=("seconds", "median"), least=("seconds", "min"), most=("seconds", "max"), flop=("flop", "first"),
        pairs=("pairs", "first"),
    )  # fmt: skip
    table["gflop_per_s"] = table["flop"] / table["seconds"] / 1e9
    table["pairs_per_s"] = table["pairs"] / table["seconds"]
    table["of_matrix_product"] = table["gflop_per_s"] / table["gflop_per_s"].iloc[0]
    table["of_plain_layer"] = table.loc["plain deep layer", "seconds"] / table["seconds"].where(
        table.index.isin(["plain deep layer", "deep layer"])
    )
    return table.reset_index().drop(columns=["flop", "pairs"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--out", type=Path, default=RESULTS / "cpu.csv")
    given = parser.parse_args(arguments)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = summary(measure(given.rounds)).round(4)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out, index=False)
    print(table.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
