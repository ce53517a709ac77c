"""What is timed: rows of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from recattn.config import ModelConfig, TrainConfig, from_dict
from recattn.errors import ConfigError

SHAPE = {
    "dim": 64,
    "num_heads": 2,
    "num_layers": 2,
    "max_history": 200,
    "dropout": 0.2,
    "time": "order",
    "ties": "order",
}
RECTOOLS = {
    "session_max_len": 200,
    "n_factors": 64,
    "n_blocks": 2,
    "n_heads": 2,
    "dropout_rate": 0.2,
    "batch_size": 128,
    "lr": 1e-3,
    "loss": "softmax",
}


@dataclass(frozen=True)
class Row:
    """One model with its settings.

    Attributes:
        name: What the table calls it.
        model: Overrides of `SHAPE`, keys of `ModelConfig`; for a peer, overrides of its own settings.
        train: Keys of `TrainConfig`; for a peer, of its trainer.
        last: Most recent interactions of a user to train on; None takes all.
        peer: `rectools`, or None for ours.
    """

    name: str
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    last: int | None = None
    peer: str | None = None

    def configs(self, seed: int, max_epochs: int) -> tuple[ModelConfig, TrainConfig]:
        """The settings of one of our rows; ConfigError where this version does not know a key."""
        train = {"seed": seed, "max_epochs": max_epochs, "schedule": "constant", "patience": 0} | dict(self.train)
        return from_dict(ModelConfig, SHAPE | dict(self.model)), from_dict(TrainConfig, train)


PEER = Row("RecTools SASRec", RECTOOLS, peer="rectools")
RETRIEVAL = {"score": "retrieval"}
MEMORY = {"score": "attention", "attention": "transitions"}
LINEAR = {"score": "attention", "attention": "heads"}
DEEP = {"score": "deep", "attention": "heads"}
EXACT, HALF = {"precision": "float32"}, {"precision": "bf16"}
ROWS = (
    Row("retrieval", RETRIEVAL, EXACT),
    Row("transition memory", MEMORY, EXACT),
    Row("linear attention", LINEAR, EXACT),
    Row("deep attention", DEEP, EXACT),
    Row("retrieval, last 201", RETRIEVAL, EXACT, last=201),
    Row("linear attention, last 201", LINEAR, EXACT, last=201),
    Row("deep attention, last 201", DEEP, EXACT, last=201),
    Row("retrieval, bf16", RETRIEVAL, HALF),
    Row("linear attention, bf16", LINEAR, HALF),
    Row("deep attention, bf16", DEEP, HALF),
    Row("retrieval, bf16, last 201", RETRIEVAL, HALF, last=201),
    PEER,
    Row("RecTools SASRec, bf16", RECTOOLS, {"precision": "bf16-mixed"}, peer="rectools"),
)


def read_rows(path: str | Path) -> tuple[Row, ...]:
    """Rows of a JSON list of objects with the attributes of `Row`."""
    try:
        return tuple(Row(**one) for one in json.loads(Path(path).read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(
            f"no rows can be read from {path}: {error}. Give a JSON list of objects with a name."
        ) from None


def chosen(rows: Sequence[Row], only: Sequence[str] | None) -> list[Row]:
    """The rows named in `only`, in their own order; None keeps all."""
    names = [row.name for row in rows]
    unknown = [name for name in only or () if name not in names]
    if unknown:
        raise ConfigError(f"there is no row {unknown[0]!r}. There are: {'; '.join(names)}.")
    return [row for row in rows if only is None or row.name in only]


def runnable(rows: Sequence[Row], peers: Path) -> tuple[list[Row], dict[str, str]]:
    """The rows that can run here, and why the others cannot."""
    kept, left = [], {}
    for row in rows:
        try:
            if row.peer is None:
                row.configs(0, 1)
            elif not python_of(row, peers).exists():
                raise ConfigError(
                    f"there is no {python_of(row, peers)}; name the folder of its environment by --peers."
                )
            kept.append(row)
        except ConfigError as error:
            left[row.name] = shorten(str(error), 120)
    return kept, left


def python_of(row: Row, peers: Path) -> Path:
    """The interpreter of a peer."""
    return peers / str(row.peer) / "bin" / "python"
