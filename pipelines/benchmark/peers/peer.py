"""A peer as a recommender: frames go to its script as files, recommendations come back as one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.benchmark.protocols import Asked
from recattn.dataset.requests import gather_ranges
from recattn.errors import ConfigError, RecattnError
from recattn.schema import columns as c

HERE = Path(__file__).parent
ENVIRONMENTS = {"rectools_sasrec": "rectools"}  # model -> requirements-NAME.txt, and the folder of its environment
DEFAULTS: dict[str, dict[str, Any]] = {
    # as published with RecTools' SASRec on these data sets, with early stopping of their own loop
    "rectools_sasrec": {
        "n_factors": 64,
        "n_blocks": 2,
        "n_heads": 2,
        "dropout_rate": 0.2,
        "session_max_len": 200,
        "loss": "softmax",
        "lr": 1e-3,
        "batch_size": 128,
        "max_epochs": 100,
        "patience": 10,
    },
}


class PeerError(RecattnError, RuntimeError):
    """A peer's process failed."""


def defaults(name: str) -> dict[str, Any]:
    """The settings a peer has where none are given."""
    return dict(DEFAULTS[name])


def refitted(settings: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """The settings of a fit for so many epochs, without validation."""
    return {name: value for name, value in settings.items() if name != "patience"} | {"max_epochs": epochs}


def versions(name: str) -> dict[str, Any]:
    """Digests of its pins and of its script."""
    files = (HERE / f"requirements-{ENVIRONMENTS[name]}.txt", HERE / f"{name}.py")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}


@dataclass(frozen=True, eq=False)
class Peer:
    """One fit of a peer; its weights lie in `folder` beside the files it was given."""

    name: str
    environments: Path
    folder: Path
    settings: Mapping[str, Any]
    train: pd.DataFrame
    valid: pd.DataFrame  # without rows it trains all of `max_epochs`, and its last weights count

    def fit(self) -> dict[str, Any]:
        """Train, unless the trained model is there; what the script tells: seconds, epochs, best_epoch ..."""
        told = self.folder / "fit.json"
        if not told.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "settings.json").write_text(json.dumps(dict(self.settings)))
            self._hand_over()
            self._run("fit")
        about: dict[str, Any] = json.loads(told.read_text())
        return about

    def recommend(self, asked: Asked, k: int) -> pd.DataFrame:
        """The best `k` items of each request: `request_id`, `item_id`, `rank`.

        The script gets what each request may see (`request_id`, `item_id`, oldest first) and nothing else.
        """
        bound, store = asked.bound, asked.store
        rows, offsets = gather_ranges(bound.starts, bound.stops)
        seen = pd.DataFrame(
            {
                c.REQUEST: np.repeat(bound.request_ids, np.diff(offsets)),
                c.ITEM: store.item_vocabulary.decode(store.items[rows]),
            }
        )
        seen.to_parquet(self.folder / "history.parquet")
        pd.DataFrame({c.REQUEST: bound.request_ids}).to_parquet(self.folder / "requests.parquet")
        self._hand_over()
        self._run("recommend", "--k", str(k))
        return pd.read_parquet(self.folder / "recommendations.parquet")

    def _hand_over(self) -> None:
        """`train` and `valid` as files: `user_id`, `item_id`, each user's oldest first."""
        for name, frame in (("train", self.train), ("valid", self.valid)):
            ordered = frame.sort_values(c.TIME, kind="stable")[[c.USER, c.ITEM]]
            ordered.to_parquet(self.folder / f"{name}.parquet", index=False)

    def _run(self, what: str, *more: str) -> None:
        environment = ENVIRONMENTS[self.name]
        python = self.environments / environment / "bin" / "python"
        if not python.exists():
            raise ConfigError(
                f"{self.name} needs its own environment: there is no {str(python)!r}. Make it with "
                f"`python -m pipelines.benchmark.peers make {environment}`, or give --peers the folder it lies in."
            )
        command = [str(python), str(HERE / f"{self.name}.py"), what, "--folder", str(self.folder), *more]
        with (self.folder / f"{what}.log").open("w") as log:
            code = subprocess.run(command, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": ""}).returncode
        if code:
            end = (self.folder / f"{what}.log").read_text()[-2000:]
            raise PeerError(f"{' '.join(command)} ended with status {code}:\n{end}")
