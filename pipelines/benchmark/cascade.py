"""What a saved model's cascade loses and saves, by how many items its retrieval score keeps.

python -m pipelines.benchmark.cascade --model MODEL --log interactions.parquet --requests 500
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import recattn as ra
from recattn.batching.assemble import Assembler
from recattn.config import Stage
from recattn.dataset.requests import Requests, make_requests
from recattn.errors import ConfigError, RecattnError
from recattn.evaluation.metrics import ndcg, recall
from recattn.inference.artifact import load_model
from recattn.inference.cascade import Cascade, CatalogView, rank_catalog
from recattn.inference.doors import make_assembler, open_history
from recattn.inference.model import FittedModel
from recattn.inference.predictor import Predictor, to_device
from recattn.schema import read_interactions
from recattn.training.cascade_quality import hits

RESULTS = Path(__file__).parent / "results" / "cascade"
KEPT = (50, 100, 200, 500, 1000, 2000)
K = 20
BATCH = 16


def last_requests(model: FittedModel, log: pd.DataFrame, most: int) -> tuple[Assembler, Requests, np.ndarray]:
    """At most `most` users, evenly spaced, asked for their last interaction that was new to them: codes int64 [X]."""
    plan, config, table = model.blueprint, model.blueprint.config, model.blueprint.table
    split = ra.leave_last_out(log, time=config.time, ties=config.ties)
    truth = split.truth("test", "last")
    requests = split.requests("test", "last").merge(truth[~truth["seen"]][["request_id", "item_id"]], on="request_id")
    requests = requests.iloc[:: max(1, -(-len(requests) // most))]
    store = open_history(plan, split.log)
    asked = make_requests(store, requests.drop(columns="item_id"), ties=config.ties)
    order = np.argsort(asked.lengths, kind="stable")  # batches of like lengths, as when serving
    return make_assembler(plan, store, None), asked.take(order), table.vocabulary.encode(requests["item_id"])[order]


def curve(
    model: FittedModel,
    assembler: Assembler,
    requests: Requests,
    truth: np.ndarray,
    *,
    kept: Sequence[int] = KEPT,
    stage: Stage | None = None,
    repeats: int = 3,
) -> pd.DataFrame:
    """One row a cascade that keeps so many items for `stage`, and last the exhaustive scoring (`kept` = the catalog).

    Columns: `kept`; `recall`, the share of truths that retrieval keeps; `ndcg_at_20` and its `loss` against exhaustive
    scoring; `overlap`, the share of the exhaustive top 20 that is still there; `ms` a request (median of `repeats`
    passes over all requests, after one that warms up).
    """
    stage, table = stage or model.blueprint.config.score, model.blueprint.table
    predictor = Predictor(model.scorer, table)
    with predictor.ready():
        codes = torch.from_numpy(np.flatnonzero(table.recommendable)).to(predictor.device)
        catalog = CatalogView.of(model.scorer, codes)
        parts = [requests.take(np.arange(at, min(at + BATCH, len(truth)))) for at in range(0, len(truth), BATCH)]
        batches = [
            (
                to_device(assembler.requests(part, with_candidates=False), predictor.device),
                predictor.allowed(assembler, part, catalog, exclude_seen=True),
            )
            for part in parts
        ]

        def ranked(cascade: Cascade, k: int, by: Stage) -> torch.Tensor:
            found = [
                rank_catalog(model.scorer, batch, catalog, allowed, k, stage=by, cascade=cascade)[0]
                for batch, allowed in batches
            ]
            return torch.cat(found).cpu()

        def timed(cascade: Cascade) -> tuple[torch.Tensor, float]:
            best, seconds = ranked(cascade, K, stage), []
            for _ in range(repeats):
                begin = time.perf_counter()
                best = ranked(cascade, K, stage)
                seconds.append(time.perf_counter() - begin)
            return best, 1000 * float(np.median(seconds)) / len(truth)

        size = len(codes)
        sizes = sorted({one for one in kept if one < size})
        answers = torch.from_numpy(truth.astype(np.int64))[:, None]
        counts = np.ones(len(truth), dtype=np.int64)
        found = hits(ranked(Cascade(), max(sizes, default=1), "retrieval"), answers)
        whole, whole_ms = timed(Cascade(threshold=size))
        full = ndcg(hits(whole, answers), counts, K)
        lines = []
        for one in sizes:
            best, ms = timed(Cascade(threshold=0, retrieval=one, attention=one))
            lines.append([one, recall(found, counts, one).mean(), *judged(best, whole, answers, full), ms])
        lines.append([size, float((answers > 0).float().mean()), *judged(whole, whole, answers, full), whole_ms])
    columns = ["kept", "recall", f"ndcg_at_{K}", "loss", "overlap", "ms"]
    return pd.DataFrame(lines, columns=columns)


def judged(best: torch.Tensor, whole: torch.Tensor, truth: torch.Tensor, full: np.ndarray) -> tuple[float, ...]:
    """NDCG@20, its loss against the exhaustive list, the share of that list still there."""
    value = ndcg(hits(best, truth), np.ones(len(truth), dtype=np.int64), K)
    there = ((best[:, :, None] == whole[:, None]) & (whole[:, None] > 0)).any(dim=1).sum()
    return float(value.mean()), float((full - value).mean()), float(there / (whole > 0).sum().clamp(min=1))


def picture(table: pd.DataFrame, path: Path, title: str) -> None:
    """Recall and loss over the items kept, and quality over the time of a request."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ink, accent, muted = "#1f2d3d", "#d1495b", "#8d99ae"
    figure = Figure(figsize=(10, 4.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(table["kept"], table["recall"], "o-", color=ink, label="truths kept by retrieval")
    left.plot(table["kept"], table["overlap"], "o-", color=accent, label="exhaustive top 20 still listed")
    left.set(xscale="log", xlabel="items kept by the retrieval score (last: all)", ylabel="share", ylim=(0, 1.05))
    left.legend(frameon=False, loc="best")
    right.axhline(table[f"ndcg_at_{K}"].iloc[-1], color=muted, linestyle="--", linewidth=1)
    right.plot(table["ms"], table[f"ndcg_at_{K}"], "o-", color=ink)
    for row in table.itertuples():
        place = (0, 9) if row.Index % 2 else (0, -15)
        name = "exhaustive" if row.Index == len(table) - 1 else f"{row.kept:,}"
        right.annotate(name, (row.ms, getattr(row, f"ndcg_at_{K}")), textcoords="offset points", xytext=place,
                       ha="center", fontsize=8, color=ink)  # fmt: skip
    right.set(xscale="log", xlabel="milliseconds a request", ylabel=f"NDCG@{K}")
    right.margins(x=0.12)
    right.set_ylim(0, 1.3 * max(table[f"ndcg_at_{K}"].max(), 1e-6))
    right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.set_xticks(table["kept"])
    left.tick_params(axis="x", labelsize=8)
    for axes in (left, right):
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    figure.suptitle(title, color=ink, fontsize=11)
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", required=True, help="folder of a saved model, fitted without the last interactions of the log"
    )
    parser.add_argument("--log", required=True, help="interactions; each user's last one is asked for")
    parser.add_argument("--requests", type=int, default=500, help="at most so many")
    parser.add_argument("--kept", type=int, nargs="+", default=list(KEPT))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--name", default="cascade", help="of the files: NAME.csv and NAME.png")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    try:
        model = load_model(given.model)
        config = model.blueprint.config
        if config.score == "retrieval":
            raise ConfigError(f"the model in {given.model} has the retrieval score only: it has no cascade.")
        log = read_interactions(given.log, time=config.time)
        assembler, requests, truth = last_requests(model, log, given.requests)
        table = curve(model, assembler, requests, truth, kept=given.kept)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out / f"{given.name}.csv", index=False, float_format="%.6g")
    title = (
        f"{len(truth):,} requests, {table['kept'].iloc[-1]:,} items, {config.score} score, {given.threads} thread(s)"
    )
    picture(table, given.out / f"{given.name}.png", title)
    print(table.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
