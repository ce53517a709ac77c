"""A run of MLflow as a fit sees it: settings, curves, files."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from recattn.observer import Scalar
from recattn.tracking import datasets, figures, fingerprint, names, privacy, stale, unsent
from recattn.tracking.notes import Note
from recattn.tracking.writer import Writer

_CURVES = ("train/", "valid/")
WAIT_SECONDS = 30.0  # for an MLflow that is away


class ObservedRun:
    """An `Observer` that writes to MLflow.

    Everything goes by the run's own id: what other code does to MLflow's active run changes nothing. Calls give at
    once; a thread sends, and keeps what an MLflow that is away cannot take (`Writer`).

    Attributes:
        id: The run id.
        experiment_id: The experiment it belongs to.
        tracking_uri: The MLflow it is in.
        status: What the run will end as: FINISHED, or FAILED after `failed`.
        beating: Whether the run gave signs of life when it was met.
    """

    def __init__(self, run: MlflowRun, tracking_uri: str) -> None:
        self.id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.tracking_uri = tracking_uri
        self.status = "FINISHED"
        self.beating = stale.HEARTBEAT in run.data.tags
        self._client = MlflowClient(tracking_uri)
        self._writer = Writer(self._client, self.id)
        self._params: dict[str, str] = dict(run.data.params)
        self._curves: dict[str, dict[int, float]] = {n: {} for n in run.data.metrics if n.startswith(_CURVES)}
        self._reported: list[list[Any]] = []
        self._rules: Mapping[str, object] = {}  # of the first evaluation
        self._skipped: dict[str, str] = {}

    @property
    def away(self) -> bool:
        """Whether the MLflow cannot be reached at the moment."""
        return self._writer.away is not None

    def begin(self, tags: Mapping[str, object]) -> None:
        """Write the fingerprint and `tags`, and read back what the run before a resume has logged."""
        beat = {stale.HEARTBEAT: stale.heartbeat()}
        self.tags({**beat, **fingerprint.versions(), **fingerprint.git(), **tags})
        for name in self._curves:
            self._curves[name] = self._writer.curve(name)

    def params(self, values: Mapping[str, Scalar]) -> None:
        """Settings as flat parameters. MLflow never changes one: a new value on a resumed run warns."""
        new: dict[str, str] = {}
        for name, clean in names.renamed(values).items():
            text = names.value_text(values[name])
            known = self._params.get(clean)
            if known is None:
                self._params[clean] = new[clean] = text
            elif known != text:
                warnings.warn(
                    f"Run {self.id} began with {clean}={known}; it is {text} now. MLflow keeps {known}.",
                    stacklevel=2,
                )
        self._writer.params(new)

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers of one step (an epoch, 0-based); `ndcg@10` is written `ndcg_at_10`.

        NaN and infinities are left out of the curves, which they would ruin, and named in the tag
        `recattn.not_finite`. A point that the run before a resume has written is not written twice.
        """
        self._record(values, step)

    def _record(self, values: Mapping[str, float], step: int) -> list[list[Any]]:
        points: dict[str, float] = {}
        for name, clean in names.renamed(values).items():
            value = float(values[name])
            if not math.isfinite(value):
                self._skipped[clean] = f"{clean}={value} at step {step}"
                continue
            if clean.startswith(_CURVES):
                curve = self._curves.setdefault(clean, {})
                if step in curve and math.isclose(curve[step], value, rel_tol=1e-6):
                    continue
                curve[step] = value
            points[clean] = value
        written = self._writer.metrics(points, step)
        skipped = {"recattn.not_finite": "; ".join(self._skipped.values())} if self._skipped else {}
        self.tags({stale.HEARTBEAT: stale.heartbeat(), **skipped})
        return written

    def artifact(self, path: str, value: object) -> None:
        """Keep a DataFrame, dict, str, figure or `pathlib.Path` under `path`; forms: `artifacts.render`.

        `config.json` also gives the tags `recattn.config`, equal for equal configurations, and `recattn.seed_group`,
        equal for those that differ in their seed only.
        """
        self._writer.artifact(path, value)
        if path == "config.json":
            self.tags({"recattn.config": fingerprint.digest(value)})
            self.tags({"recattn.seed_group": fingerprint.digest(fingerprint.without_seed(value))})

    def cost(self, **values: float) -> None:
        """What something took, as metrics `cost/recommend_seconds`, `cost/fit_seconds` ..."""
        self._record({f"cost/{name}": value for name, value in values.items()}, step=0)

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training", *, source: str | None = None) -> None:
        """List `frame` among the run's datasets by digest, columns and counts; no value of it leaves.

        `context` says what it was for (training, validation, test); `source` whence it came (path or URL).
        """
        self._writer.inputs(datasets.dataset_input(name, frame, context, source))

    def state(self) -> dict[str, str]:
        """What `track(resume_from=...)` needs to go on with this run."""
        return {"mlflow_run_id": self.id}

    def failed(self, error: BaseException) -> None:
        """The run will end FAILED; the error's type and scrubbed message become tags."""
        self.status = "FAILED"
        kind = type(error).__name__
        self.tags({"recattn.error_type": kind, "recattn.error": privacy.scrubbed(str(error).strip()) or kind})

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags; the last value of a tag counts."""
        self._writer.tags(values)

    def beat(self) -> None:
        """Say that the process still lives."""
        self.tags({stale.HEARTBEAT: stale.heartbeat()})

    def flush(self, wait: float = WAIT_SECONDS) -> bool:
        """Wait until all that was logged is in MLflow, `wait` seconds at most; whether it is."""
        return self._writer.flush(wait) and not self._writer.undelivered()

    def close(self, end: Note | None = None) -> Path | None:
        """No more is sent by the thread; the folder with what MLflow did not take, where there is such.

        `end` is what is still to be said at the end of a run that MLflow has not heard of.
        """
        self._writer.stop()
        left = [*self._writer.undelivered(), *([end] if end is not None else [])]
        place = unsent.keep(left, self.id, self.tracking_uri) if left else None
        self._writer.clean()
        return place

    def finish(self) -> None:
        """Draw `figures/learning_curve.png` from the metrics seen; `track` does it at the end."""
        figure = figures.learning_curve(self._curves)
        if figure is not None:
            self.artifact("figures/learning_curve.png", figure)
