"""One MLflow run as fit and the user see it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.entities import Run as MlflowRun

from recattn.errors import ConfigError
from recattn.observer import Scalar
from recattn.schema import columns
from recattn.tracking import artifacts, datasets, figures, fingerprint, flavor, names, privacy, samples, stale
from recattn.tracking.writer import Writer

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

    from recattn.evaluation import Report
    from recattn.recommender import Recommender

_COUNTS = ("requests", "catalog_size")
_KEYS = (columns.REQUEST, columns.USER)
_CURVES = ("train/", "valid/")
_HEADLINE = "valid/ndcg_at_10"


class Run:
    """An `Observer` that writes to MLflow; `recattn.track` makes it.

    Everything goes by the run's own id: what other code does to MLflow's active run changes nothing.

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
        self._reported: list[Metric] = []
        self._skipped: dict[str, str] = {}

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

    def _record(self, values: Mapping[str, float], step: int) -> list[Metric]:
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
        """Keep a DataFrame, dict, str, figure or `pathlib.Path` under `path`; forms: `artifacts.write`.

        `config.json` also gives the tag `recattn.config`: equal configurations have equal digests.
        """
        artifacts.write(self._client, self.id, path, value)
        if path == "config.json":
            self.tags({"recattn.config": fingerprint.digest(value)})

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

    def log(self, report: Report, prefix: str = "test", *, hash_ids: bool = True) -> None:
        """An evaluation: its summary as metrics `test/ndcg_at_10`, its policy as tags `recattn.test.k`.

        Kept as files: `test/policy.json`, and `test/per_request.parquet` with user and request ids hashed
        (`privacy.hashed`) unless `hash_ids=False`.
        """
        summary = {f"{prefix}/{name}": value for name, value in report.summary.items()}
        self._reported += self._record(summary, step=0)
        rules = {n: v for n, v in report.policy.items() if isinstance(v, str) or n in _COUNTS}
        self.tags({f"recattn.{prefix}.{name}": _short(name, value) for name, value in rules.items()})
        self.artifact(f"{prefix}/policy.json", {**report.policy, "hashed_ids": hash_ids})
        rows = report.per_request
        if hash_ids:
            rows = rows.assign(**{name: privacy.hashed(rows[name]) for name in _KEYS if name in rows})
        self.artifact(f"{prefix}/per_request.parquet", rows)

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training", *, source: str | None = None) -> None:
        """List `frame` among the run's datasets by digest, columns and counts; no value of it leaves.

        `context` says what it was for (training, validation, test); `source` whence it came (path or URL).
        """
        self._client.log_inputs(self.id, [datasets.dataset_input(name, frame, context, source)])

    def sample_recommendations(
        self,
        recommendations: pd.DataFrame,
        titles: Mapping[Any, str] | pd.Series | None = None,
        *,
        requests: int = 10,
        hash_ids: bool = True,
    ) -> None:
        """The first `requests` lists, with titles, as the table `tables/sample_recommendations.json`."""
        table = samples.sample_table(recommendations, titles, requests, hash_ids)
        self.artifact("tables/sample_recommendations.json", table)

    def log_model(self, model: Recommender, name: str = "model", registered_model_name: str | None = None) -> ModelInfo:
        """Log a fitted Recommender as a pyfunc model (`flavor.log_model`), the run's reports as its metrics.

        Its step is the best validation epoch. Needs the run to be active, that is: inside `with track(...)`.
        """
        active = mlflow.active_run()
        if active is None or active.info.run_id != self.id:
            raise ConfigError(f"Run {self.id} is not active. Call log_model inside its `with track(...)`.")
        best = self._curves.get(_HEADLINE, {})
        step = max(sorted(best), key=lambda epoch: best[epoch], default=0)
        info = flavor.log_model(model, name, registered_model_name=registered_model_name, step=step)
        about = flavor.metadata(model).items()
        self.tags({f"recattn.{name}": _short(name, value) for name, value in about})
        self._writer.tie(self._reported, info.model_id)
        return info

    def beat(self) -> None:
        """Say that the process still lives."""
        self.tags({stale.HEARTBEAT: stale.heartbeat()})

    def finish(self) -> None:
        """Draw `figures/learning_curve.png` from the metrics seen; `track` does it at the end."""
        figure = figures.learning_curve(self._curves)
        if figure is not None:
            self.artifact("figures/learning_curve.png", figure)


def _short(name: str, value: object) -> object:
    """The first digits of a digest, enough for a tag; the whole one is in the run's files."""
    return str(value)[:16] if name.endswith("sha256") else value
