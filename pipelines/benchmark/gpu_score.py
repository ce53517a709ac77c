"""Candidates scored in a second, the whole catalog for every request."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np
import torch

from pipelines.benchmark.gpu_cost import pair_cost, waiter
from pipelines.benchmark.gpu_train import PRECISIONS
from recattn.config import STAGES
from recattn.dataset.requests import make_requests
from recattn.inference.cascade import Cascade
from recattn.inference.predictor import Predictor
from recattn.nn.scorer import Scorer
from recattn.training import FitData

K = 20


def score_stages(
    data: FitData, scorer: Scorer, device: torch.device, limits: dict[str, float], *, requests: int, repeats: int = 3
) -> list[dict[str, Any]]:
    """Each score in each precision: pairs a second with batches built and lists made, against what the device can do.

    `same_top`: share of the float32 list of that score that is still in the list.
    """
    config, table = data.blueprint.config, data.blueprint.table
    asked = make_requests(data.assembler.store, ties=config.ties)
    asked = asked.take(np.arange(min(requests, len(asked))))
    length = float(np.minimum(asked.lengths, config.max_history).mean())
    predictor = Predictor(scorer, table, device=device, cascade=Cascade(threshold=2**60))
    pairs = len(asked) * int(table.recommendable.sum())
    wait, lines = waiter(device), []
    for stage in STAGES[: STAGES.index(config.score) + 1]:
        exact = None
        for name, (precision, products, limit) in PRECISIONS.items():
            torch.set_float32_matmul_precision(products)
            mixed = precision == "bf16-mixed"
            seconds = []
            for _ in range(repeats + 1):
                with torch.autocast(device.type, torch.bfloat16) if mixed else contextlib.nullcontext():
                    wait()
                    begin = time.perf_counter()
                    best, _ = predictor.top_k(data.assembler, asked, K, exclude_seen=False, stage=stage)
                    wait()
                    seconds.append(time.perf_counter() - begin)
            spent = float(np.median(seconds[1:]))
            cost = pair_cost(config, length, stage)
            most = min(limits[limit] / cost.flops, limits["exps"] / cost.exps if cost.exps else np.inf)
            exact = best if exact is None else exact
            lines.append(
                {
                    "stage": stage,
                    "precision": name,
                    "pairs": pairs,
                    "mean_history": length,
                    "seconds": spent,
                    "pairs_per_s": pairs / spent,
                    "flops_per_pair": cost.flops,
                    "exps_per_pair": cost.exps,
                    "flops_per_s": pairs / spent * cost.flops,
                    "exps_per_s": pairs / spent * cost.exps,
                    "limit_pairs_per_s": most,
                    "share_of_limit": pairs / spent / most,
                    "same_top": float((best[:, :, None] == exact[:, None]).any(axis=2).mean()),
                }
            )
    return lines
