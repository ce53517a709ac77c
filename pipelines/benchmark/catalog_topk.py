"""The best k of a whole catalog for the users of a log: the job's time and memory, and what its cascade loses.

    python -m pipelines.benchmark.catalog_topk --model MODEL --log interactions.parquet --k 20 --core 1

The job takes every user, or `--users` of them, evenly spaced over the log; the time for all is then by proportion and
said to be so. The loss is measured on `--sample` users asked for their last interaction (the model should not have
learned from it): the same requests by the cascade of the job and with the dearest score for every item.
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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipelines.benchmark.cascade import K, judged, last_requests
from pipelines.benchmark.scoring import RESULTS
from pipelines.benchmark.speed_process import peak_bytes
from recattn.errors import RecattnError
from recattn.evaluation.metrics import ndcg
from recattn.inference.artifact import load_model
from recattn.inference.cascade import Cascade, by_pairs
from recattn.inference.model import FittedModel
from recattn.inference.predictor import Predictor
from recattn.jobs import ScoreJob, run_job
from recattn.schema import read_interactions
from recattn.training.cascade_quality import hits


def step(settings: str) -> None:
    """The job in this process; its figures as JSON on stdout."""
    result = run_job(ScoreJob(**json.loads(settings)))
    print(json.dumps({"seconds": result.seconds, "peak": peak_bytes(), "rows": result.rows}))


def timed_job(model: str, log: pd.DataFrame, k: int, users: int | None) -> dict[str, Any]:
    """Seconds (opening model and log included) and peak memory of the job, in a process of its own."""
    everyone = log["user_id"].unique()
    asked = everyone[:: max(1, -(-len(everyone) // users))] if users else everyone
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{name}.parquet") for name in ("history", "users")}
        log.to_parquet(paths["history"], index=False)
        pd.DataFrame({"user_id": asked}).to_parquet(paths["users"], index=False)
        settings = {"model": model, "out": f"{folder}/out", "k": k, "threads": 1, **paths}
        command = [sys.executable, "-m", "pipelines.benchmark.catalog_topk", "step", json.dumps(settings)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return {
        "users": len(asked),
        "rows": found["rows"],
        "seconds": round(found["seconds"], 1),
        "users_per_s": round(len(asked) / found["seconds"], 1),
        "all_users": len(everyone),
        "seconds_for_all": round(found["seconds"] * len(everyone) / len(asked)),
        "peak_mb": round(found["peak"] / 1e6),
    }


def loss(model: FittedModel, log: pd.DataFrame, sample: int) -> dict[str, Any]:
    """NDCG@20 of the cascade and of the exhaustive lists over the same requests, the overlap, milliseconds of each."""
    assembler, requests, truth = last_requests(model, log, sample)
    lists, spent = {}, {}
    size = int(model.blueprint.table.recommendable.sum())
    for name, cascade in {"cascade": Cascade(), "exhaustive": Cascade(threshold=size)}.items():
        predictor = Predictor(model.scorer, model.blueprint.table, cascade=cascade, threads=1)
        begin = time.perf_counter()
        codes, _ = predictor.top_k(assembler, requests, K)
        spent[name] = round(1000 * (time.perf_counter() - begin) / len(truth), 2)
        lists[name] = torch.from_numpy(codes)
    answers = torch.from_numpy(truth.astype(np.int64))[:, None]
    full = ndcg(hits(lists["exhaustive"], answers), np.ones(len(truth), np.int64), K)
    value, lost, overlap = judged(lists["cascade"], lists["exhaustive"], answers, full)
    return {
        "sample": len(truth),
        f"ndcg_at_{K}_cascade": round(value, 5),
        f"ndcg_at_{K}_exhaustive": round(float(full.mean()), 5),
        f"ndcg_at_{K}_loss": round(lost, 6),
        f"overlap_at_{K}": round(overlap, 5),
        "ms_cascade": spent["cascade"],
        "ms_exhaustive": spent["exhaustive"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the figures as JSON and print them; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a saved model")
    parser.add_argument("--log", required=True, help="interactions: Parquet or CSV")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--users", type=int, help="at most so many; all by default")
    parser.add_argument("--sample", type=int, default=500, help="requests that are also scored exhaustively")
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--name", default="catalog", help="of the file: NAME.json")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    torch.set_num_threads(1)
    try:
        model = load_model(given.model)
        config = model.blueprint.config
        log = read_interactions(given.log, time=config.time)
        table = model.blueprint.table
        about = {"items": int(table.recommendable.sum()), "k": given.k, "score": config.score}
        about |= {"attention": config.attention, "dim": config.dim, "max_history": config.max_history}
        about["cascade"] = by_pairs(model.scorer, config.score) and Cascade().used_for(about["items"], config.score)
        found = about | loss(model, log, given.sample) | timed_job(given.model, log, given.k, given.users)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"{given.name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        step(sys.argv[2])
    else:
        sys.exit(main())
