"""What explaining scores costs, as a ratio to scoring the same rows.

python -m pipelines.benchmark.explain_cost --model MODEL --log interactions.parquet --requests 20 --candidates 100
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

import recattn as ra
from recattn.errors import RecattnError
from recattn.schema import read_interactions


def slate_of(log: pd.DataFrame, items: np.ndarray, requests: int, candidates: int, seed: int = 0) -> pd.DataFrame:
    """So many users of the log, evenly spaced by the length of their history, each with random items."""
    rng = np.random.default_rng(seed)
    users = log["user_id"].value_counts(sort=True).index.to_numpy()
    users = users[np.linspace(0, len(users) - 1, min(requests, len(users))).astype(int)]
    chosen = [rng.choice(items, size=min(candidates, len(items)), replace=False) for _ in users]
    return pd.DataFrame({"user_id": np.repeat(users, len(chosen[0])), "item_id": np.concatenate(chosen)})


def measure(model: ra.Recommender, log: pd.DataFrame, slate: pd.DataFrame, *, top: int, repeats: int) -> pd.DataFrame:
    """Processor seconds of `score`, `explain` and `parts` in turn; medians of `repeats` rounds after one to warm up."""
    asks = {
        "score": lambda: model.score(slate, history=log),
        "explain": lambda: model.explain(slate, history=log, top=top),
        "parts": lambda: model.parts(slate, history=log),
    }
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(repeats + 1):
        for name, ask in asks.items():
            begin = time.process_time()
            ask()
            if number:
                seconds[name].append(time.process_time() - begin)
    table = pd.DataFrame({"seconds": {name: float(np.median(spent)) for name, spent in seconds.items()}})
    return table.assign(ratio=table["seconds"] / table.loc["score", "seconds"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a saved model")
    parser.add_argument("--log", required=True, help="interactions to answer from")
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=100, help="of each request")
    parser.add_argument("--top", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    try:
        model = ra.Recommender.load(given.model)
        log = read_interactions(given.log, time=model.config.time)
        slate = slate_of(log, model.items.vocabulary.ids, given.requests, given.candidates)
        history = log[log["user_id"].isin(slate["user_id"])]
        table = measure(model, history, slate, top=given.top, repeats=given.repeats)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    lengths = history["user_id"].value_counts().clip(upper=model.config.max_history)
    print(f"{len(slate):,} rows of {len(lengths):,} requests, {given.threads} thread(s)")
    print(f"{lengths.sum():,} maskings, {lengths.mean():.0f} a request, {lengths.max()} at most")
    print(table.to_string(float_format="%.3g"))
    explained = table.loc["explain", "ratio"]
    print(f"explaining costs {explained:.1f} times scoring, {explained / lengths.mean():.2f} of it a masking")
    return 0


if __name__ == "__main__":
    sys.exit(main())
