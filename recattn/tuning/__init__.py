"""The search for good settings, by trials."""

from __future__ import annotations

from recattn.tuning.result import TuneResult
from recattn.tuning.space import Space
from recattn.tuning.tuner import tune

__all__ = ["Space", "TuneResult", "tune"]
