"""Batch jobs: every row once, in bounded memory, whatever happens on the way."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Facts": "recattn.jobs.facts",
    "Diagnosis": "recattn.jobs.doctor",
    "FailIf": "recattn.jobs.limits",
    "JobResult": "recattn.jobs.job",
    "ScoreJob": "recattn.jobs.job",
    "examine": "recattn.jobs.doctor",
    "open_output": "recattn.jobs.output",
    "publish": "recattn.jobs.shards",
    "run_job": "recattn.jobs.run",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recattn.jobs' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
