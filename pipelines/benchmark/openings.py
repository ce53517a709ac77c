"""The record of every look at test data."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from pipelines.benchmark.cells import Cell


def record(results: Path, cell: Cell) -> dict[str, Any]:
    """Write down that the cell is about to be judged on test; `count`: how often that test set has been opened now."""
    path = Path(results) / "openings.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    before = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    same = [one for one in before if (one["dataset"], one["protocol"]) == (cell.dataset, cell.protocol)]
    line = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "dataset": cell.dataset,
        "protocol": cell.protocol,
        "model": cell.model,
        "trial": cell.trial,
        "seed": cell.seed,
        "count": len(same) + 1,
    }
    with path.open("a") as file:  # one short write: lines of two processes do not mix
        file.write(json.dumps(line) + "\n")
    return line
