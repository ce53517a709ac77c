"""The search for good settings, by trials."""

from __future__ import annotations

from recattn.tuning.doors import check
from recattn.tuning.result import TuneResult
from recattn.tuning.space import Space
from recattn.tuning.tuner import earlier_run, tune

__all__ = ["Space", "TuneResult", "check", "earlier_run", "tune"]
