"""Finished cells as files: where they lie, how they are written, what makes one out of date."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import recattn as ra
from recattn.errors import DataError

RESULTS = Path(__file__).parent / "results"
OUTCOME = 1  # raise it when the harness changes what a cell holds: all cells are then run again
PER_REQUEST = ("ndcg_at_10", "hit_rate_at_10", "recall_at_20", "mrr_at_10")


@dataclass(frozen=True)
class Cell:
    """One model with one choice of settings and one seed, on one data set by one protocol."""

    dataset: str
    protocol: str
    model: str
    trial: str
    seed: int

    @property
    def stem(self) -> Path:
        """Its place below `cells/`, without an ending."""
        return Path(self.dataset) / self.protocol / self.model / f"{self.trial}-seed{self.seed}"


def key_of(cell: Cell, data_digest: str, versions: Mapping[str, Any], refit: Mapping[str, Any] | None = None) -> str:
    """A digest of all that decides what the cell gives; `refit`: what decides how it is fitted again, if it is."""
    what = [OUTCOME, *map(str, (cell.dataset, cell.protocol, cell.model, cell.trial, cell.seed)), data_digest]
    again = [] if refit is None else [sorted(refit.items())]
    return hashlib.sha256(json.dumps([*what, sorted(versions.items()), *again]).encode()).hexdigest()


def place(results: Path, cell: Cell, part: str, ending: str) -> Path:
    """The file of a part of a cell: `X.json`, `X.parquet` of validation, `X.test.json`, `X.test.parquet`."""
    stem = Path(results) / "cells" / cell.stem
    return stem.with_name(stem.name + ("" if part == "valid" else f".{part}") + ending)


def finished(
    results: Path, cell: Cell, part: str, key: str, resolved: Mapping[str, Any], tells: Sequence[str] = ()
) -> dict[str, Any] | None:
    """What is kept of the cell, or None where it has to be run.

    It has to be where it is not there, was made of other data or by another version, or where a default that both
    versions know has changed since, or where it does not tell one of `tells`. A setting that is new since then is taken
    to be off by default.
    """
    path = place(results, cell, part, ".json")
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    same = all(resolved[name] == value for name, value in kept["resolved"].items() if name in resolved)
    return kept if kept["key"] == key and same and all(name in kept for name in tells) else None


def write(results: Path, cell: Cell, part: str, about: Mapping[str, Any], per_request: pd.DataFrame) -> None:
    """Keep a part of a cell. The JSON comes last, so that a cell with one is whole."""
    table, about_file = (place(results, cell, part, ending) for ending in (".parquet", ".json"))
    table.parent.mkdir(parents=True, exist_ok=True)
    with whole(table) as temporary:
        per_request.to_parquet(temporary, index=False, compression="zstd")
    with whole(about_file) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write in the place of `path`; it takes that name when the block ends well, else it is gone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_all(results: Path, part: str = "valid") -> pd.DataFrame:
    """One row a cell: its name, settings, figures and the file of its per-request metrics."""
    rows = []
    for path in sorted((Path(results) / "cells").glob("*/*/*/*.json")):
        if path.name.endswith(".test.json") != (part == "test") or path.name.startswith("."):
            continue
        kept = json.loads(path.read_text())
        figures = {name: value for name, value in kept.items() if not isinstance(value, dict | list)}
        rows.append({**kept["cell"], **kept["metrics"], **figures, "path": path, "settings": kept["settings"]})
    return pd.DataFrame(rows)


def report(path: Path) -> ra.Report:
    """The evaluation a cell's files keep, with ordinals for ids."""
    kept = json.loads(path.read_text())
    table = path.with_name(path.name.removesuffix(".json") + ".parquet")
    if not table.exists():
        raise DataError(f"{str(table)!r} is missing beside its JSON. Remove the JSON and run the cell again.")
    return ra.Report(kept["metrics"], pd.read_parquet(table), kept["policy"])
