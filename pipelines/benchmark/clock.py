"""The epochs of a fit on disk: their seconds and metrics, over all processes that took part."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recattn.observer import Scalar


class EpochClock:
    """An observer that appends one line an epoch to a file and prints it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._since = time.perf_counter()

    def params(self, values: Mapping[str, Scalar]) -> None:
        """Told once before the first step: the clock starts."""
        self._since = time.perf_counter()

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Keep the epoch, not what the whole fit took."""
        if not any(name.startswith("train/") for name in values):
            return
        now = time.perf_counter()
        line = {"epoch": step, "seconds": round(now - self._since, 2), **values}
        self._since = now
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        shown = {name: round(value, 4) for name, value in line.items() if "loss" in name or "ndcg" in name}
        print(f"  epoch {step}: {line['seconds']:.0f} s {shown}", flush=True)

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training") -> None:
        """Not kept."""

    def artifact(self, path: str, value: object) -> None:
        """Not kept."""

    def state(self) -> dict[str, str]:
        """None."""
        return {}

    def failed(self, error: BaseException) -> None:
        """The error is raised anyway."""

    def curve(self) -> list[dict[str, Any]]:
        """One entry an epoch; of an epoch that was begun again, the last."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return list({line["epoch"]: line for line in map(json.loads, lines)}.values())

    @property
    def seconds(self) -> float:
        """Of all epochs, validation included."""
        return float(sum(epoch["seconds"] for epoch in self.curve()))
