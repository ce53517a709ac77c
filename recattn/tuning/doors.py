"""What is checked before a search reads its data."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from recattn.config import ModelConfig, TrainConfig
from recattn.errors import ConfigError, nearest
from recattn.tuning.space import Space

METRIC = "valid/ndcg_at_10"
METRICS = ("ndcg_at_10", "recall_at_10", "retrieval_ndcg_at_10")  # of every validated epoch


def check(
    space: Mapping[str, Any],
    model: ModelConfig,
    settings: TrainConfig,
    *,
    trials: int = 20,
    timeout: float | None = None,
    workers: int = 1,
    threads: int | None = None,
    metric: str = METRIC,
) -> Space:
    """The space, with everything that can be wrong before data is read; ConfigError for what is."""
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("a search needs Optuna, which is not installed: pip install 'recattn[tune]'.")
    area = Space.read(space)
    area.check(model, settings)
    for name, count in (("trials", trials), ("workers", workers), ("threads", 1 if threads is None else threads)):
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"{name} must be a whole number of at least 1, got {count!r}.")
    if timeout is not None and not timeout > 0:
        raise ConfigError(f"timeout must be a number of seconds above 0, got {timeout!r}.")
    if metric.removeprefix("valid/") not in METRICS:
        raise ConfigError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}.{nearest(metric, METRICS)}")
    return area
