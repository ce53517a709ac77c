"""Figures of a fitted model on a part."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import recattn as ra
from pipelines.benchmark.cells import PER_REQUEST
from pipelines.benchmark.protocols import Task
from pipelines.benchmark.recommenders import Fitted
from recattn.dataset.split import Part

METRICS = (ra.NDCG(10), ra.HitRate(10), ra.Recall(20), ra.MRR(10), ra.Coverage(10))


def judge(task: Task, fitted: Fitted, part: Part) -> tuple[dict[str, Any], ra.Report]:
    """Figures of a part, with per-request values whose ids are ordinals."""
    asked = task.asked(part)
    begin = time.perf_counter()
    listed = fitted.recommend(asked)
    seconds = time.perf_counter() - begin
    policy = {"protocol": task.protocol.name, "ties": task.protocol.ties, "time": task.data.time}
    report = ra.evaluate(listed, asked.truth, METRICS, seen="drop", catalog=fitted.catalog, policy=policy)
    about = {
        "metrics": {name: round(value, 6) for name, value in report.summary.items()},
        "policy": report.policy,
        "cold_share": round(task.cold_share(part), 6),
        "train_seconds": round(fitted.seconds, 2),
        "recommend_seconds": round(seconds, 2),
        **fitted.about,
    }
    requests = report.per_request["request_id"]
    table = report.per_request[[name for name in PER_REQUEST if name in report.per_request]].astype(np.float32)
    table.insert(0, "request_id", requests.astype(np.int32))
    table.insert(1, "user_id", asked.users.reindex(requests).to_numpy())
    table["history"] = asked.lengths.reindex(requests).to_numpy(np.int32)
    table["cold"] = asked.cold.reindex(requests).to_numpy(bool)
    return about, ra.Report(about["metrics"], table, report.policy)
