"""The epochs of a fit as lines, where no progress bar can be."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pandas as pd

from recattn.cli.console import log
from recattn.observer import Scalar

NAMES = {"train/loss": "loss", "valid/ndcg_at_10": "valid NDCG@10", "valid/recall_at_10": "valid Recall@10"}


class EpochLines:
    """An observer that logs one line an epoch."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def params(self, values: Mapping[str, Scalar]) -> None:
        self._since = time.perf_counter()

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        now = time.perf_counter()
        shown = [f"{title} {values[name]:.4f}" for name, title in NAMES.items() if name in values]
        if shown:  # else what the fit took
            log.info("epoch %d: %s (%.1f s)", step + 1, ", ".join(shown), now - self._since)
        self._since = now

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training") -> None:
        pass

    def artifact(self, path: str, value: object) -> None:
        pass

    def state(self) -> dict[str, str]:
        return {}

    def failed(self, error: BaseException) -> None:
        pass
