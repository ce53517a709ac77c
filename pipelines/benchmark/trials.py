"""Which settings of a model are tried on a data set, the same number for every model."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipelines.benchmark.models import Model
from recattn.errors import ConfigError

SETTINGS = Path(__file__).parent / "settings.yaml"


@dataclass(frozen=True)
class Trial:
    """One choice of settings. Its name is a digest of them: equal settings are one trial whoever proposed them."""

    model: Model
    settings: Mapping[str, Any]  # what differs from the defaults

    @property
    def name(self) -> str:
        """Eight hex digits."""
        what = [self.model.name, self.model.features, self.model.shuffled, sorted(self.settings.items())]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]


def base_settings(model: Model, dataset: str, file: Path = SETTINGS) -> dict[str, Any]:
    """What the first trial has: the model's settings with those of the data set."""
    known = (yaml.safe_load(file.read_text()) or {}).get(dataset) or {}
    shared = known.get("recattn_all", {}) if model.kind == "recattn" else {}
    like = known.get(model.like, {}) if model.like else {}
    return {**shared, **like, **model.settings, **known.get(model.name, {})}


def trials(
    model: Model, dataset: str, count: int, *, override: Mapping[str, Any] | None = None, file: Path = SETTINGS
) -> list[Trial]:
    """The first `count` trials: the base settings, then draws from the model's space without repetition.

    Trial n is the same whatever `count` is; a model with a small space has fewer. What the model takes of
    `override` counts above all.
    """
    if count < 1:
        raise ConfigError(f"trials must be at least 1, got {count!r}.")
    base = base_settings(model, dataset, file)
    own = {name: value for name, value in (override or {}).items() if model.takes(name)}
    names = [name for name in model.space if name not in own]
    sizes = [len(model.space[name]) for name in names]
    found = {(first := Trial(model, base | own)).name: first}
    for place in np.random.default_rng(zlib.crc32(model.name.encode())).permutation(math.prod(sizes)):
        if len(found) >= count or not names:
            break
        digits = np.unravel_index(place, sizes)
        drawn = {name: model.space[name][int(digit)] for name, digit in zip(names, digits, strict=True)}
        trial = Trial(model, base | drawn | own)
        found.setdefault(trial.name, trial)
    return list(found.values())
