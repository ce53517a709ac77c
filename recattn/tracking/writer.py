"""The one place that sends numbers and words of a run to MLflow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from recattn.tracking import names

Entry = TypeVar("Entry", Metric, Param, RunTag)

_PARAMS_OR_TAGS_A_CALL = 100
_METRICS_A_CALL = 1000


class Writer:
    """Writes to one run by its id, in as few calls as MLflow's limits allow."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id

    def params(self, values: Mapping[str, str]) -> None:
        """Parameters under names that MLflow takes."""
        for part in _parts([Param(name, text) for name, text in values.items()], _PARAMS_OR_TAGS_A_CALL):
            self.client.log_batch(self.run_id, params=part)

    def tags(self, values: Mapping[str, object]) -> None:
        """Tags; the last value of a tag counts."""
        tags = [RunTag(names.metric_name(name), names.value_text(value)) for name, value in values.items()]
        for part in _parts(tags, _PARAMS_OR_TAGS_A_CALL):
            self.client.log_batch(self.run_id, tags=part)

    def metrics(self, values: Mapping[str, float], step: int) -> list[Metric]:
        """Finite numbers of one step, under names that MLflow takes; the points as written."""
        now = int(time.time() * 1000)
        points = [Metric(name, value, now, step) for name, value in values.items()]
        self._send(points)
        return points

    def tie(self, points: Iterable[Metric], model_id: str) -> None:
        """Make points of the run those of one of its models, too."""
        self._send([Metric(p.key, p.value, p.timestamp, p.step, model_id=model_id) for p in points])

    def curve(self, name: str) -> dict[int, float]:
        """What the run already has of a metric: {step: value}."""
        return {point.step: point.value for point in self.client.get_metric_history(self.run_id, name)}

    def _send(self, points: list[Metric]) -> None:
        for part in _parts(points, _METRICS_A_CALL):
            self.client.log_batch(self.run_id, metrics=part)


def _parts(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    entries = list(entries)
    return (entries[start : start + size] for start in range(0, len(entries), size))
