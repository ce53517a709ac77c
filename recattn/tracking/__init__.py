"""Runs in MLflow, the only floor that knows it."""

from __future__ import annotations

from recattn.tracking.run import Run
from recattn.tracking.session import track

__all__ = ["Run", "track"]
