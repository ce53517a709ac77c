"""The demo over several seeds: is its margin real, where does it come from?

python -m pipelines.benchmark.demo_seeds --seeds 0 1 2 3 4
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

import recattn as ra
from pipelines.benchmark.ours import shuffled
from recattn.cli.demo import FEATURES, SETTINGS, TRAINING, WORLD
from recattn.cli.kinds import features
from recattn.config import Stage
from recattn.dataset.synthetic import make_world

RESULTS = Path(__file__).parent / "results" / "demo"
BASELINES = ("popularity", "recency", "item_knn")
MODELS: dict[str, Stage] = {
    "retrieval only": "retrieval",
    "target attention": "attention",
    "shuffled histories": "attention",
}
METRIC = ra.NDCG(10)


def cell(seed: int, *, plain: bool, size: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """NDCG@10 of every recommender on one world, with the settings that gave it."""
    world = make_world(**size, seed=seed, order_matters=not plain)
    split = ra.split_by_time(world.interactions)
    requests, truth, history = split.requests("test"), split.truth("test"), split.history("test")
    begin = time.perf_counter()

    def judged(recommended: pd.DataFrame) -> float:
        return ra.evaluate(recommended, truth, [METRIC], seen="drop").summary[METRIC.name]

    found = {"oracle": judged(world.oracle(requests, history, k=METRIC.k))}
    for name, baseline in zip(BASELINES, (ra.Popularity(), ra.Recency(), ra.ItemKNN()), strict=True):
        baseline.fit(split.train, items=world.items)
        found[name] = judged(baseline.recommend(requests, history=history, k=METRIC.k))
    for name, stage in MODELS.items():
        train = shuffled(split.train, seed) if name == "shuffled histories" else split.train
        settings = ra.ModelConfig(**SETTINGS, score=stage)
        specs = features(FEATURES, "FEATURES")
        model = ra.Recommender(settings, ra.TrainConfig(**training, seed=seed), item_features=specs)
        model.fit(train, items=world.items, valid=split.valid)
        found[name] = judged(model.recommend(requests, history=history, k=METRIC.k))
    return {
        "seed": seed,
        "world": "plain" if plain else "default",
        "size": size,
        "model": SETTINGS,
        "train": training,
        "requests": len(requests),
        METRIC.name: found,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def table(cells: list[dict[str, Any]]) -> pd.DataFrame:
    """By recommender: mean NDCG@10, its spread, the way to the oracle, p of a paired t-test to the best baseline."""
    scores = pd.DataFrame([one[METRIC.name] for one in cells])
    best = scores[list(BASELINES)].mean().idxmax()
    way = scores.sub(scores["popularity"], axis=0).div(scores["oracle"] - scores["popularity"], axis=0)
    rows = [
        {
            "recommender": name,
            "ndcg_at_10": scores[name].mean(),
            "std": scores[name].std(),
            "way_to_oracle": way[name].mean(),
            f"p_against_{best}": ttest_rel(scores[name], scores[best]).pvalue if name != best else np.nan,
        }
        for name in scores.mean().sort_values().index
    ]
    return pd.DataFrame(rows).round(4)


def run(seeds: Sequence[int], *, plain: bool, folder: Path = RESULTS, **overrides: dict[str, Any]) -> pd.DataFrame:
    """Cells that are not there yet, then the table of all; cells and table are files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, cells = "plain" if plain else "default", []
    for seed in seeds:
        place = folder / f"{kind}-seed{seed}.json"
        if not place.exists():
            size, training = overrides.get("size", WORLD), overrides.get("training", TRAINING)
            made = cell(seed, plain=plain, size=size, training=training)
            place.write_text(json.dumps(made, indent=1) + "\n")
        cells.append(json.loads(place.read_text()))
    summary = table(cells)
    summary.to_csv(folder / f"{kind}.csv", index=False)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--plain", action="store_true", help="the world in which order and candidate do not matter")
    given = parser.parse_args()
    print(run(given.seeds, plain=given.plain).to_string(index=False))


if __name__ == "__main__":
    main()
