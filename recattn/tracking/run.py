"""One MLflow run as fit and the user see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import pandas as pd

from recattn.errors import ArtifactError, ConfigError, RecattnError
from recattn.tracking import figures, flavor, privacy, reports, samples
from recattn.tracking.observed import ObservedRun

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

    from recattn.dataset.history import HistoryStore
    from recattn.evaluation import Report
    from recattn.recommender import Recommender

_HEADLINE = "valid/ndcg_at_10"


class Run(ObservedRun):
    """What `recattn.track` gives: an observer of fits that also keeps evaluations, examples, models."""

    def log(
        self,
        report: Report,
        prefix: str = "test",
        *,
        recommendations: pd.DataFrame | None = None,
        hash_ids: bool = True,
    ) -> None:
        """An evaluation: its summary as metrics `test/ndcg_at_10`, its policy as tags `recattn.test.k`.

        A later evaluation of the run, such as a baseline's, has tags for the rules that differ from the first's.

        Kept as files: `test/policy.json`; `test/per_request.parquet`; with `recommendations` the lists as judged, up to
        the longest k, as `test/recommendations.parquet`. Ids of users and requests are hashed (`privacy.hashed`) unless
        `hash_ids=False`. The evaluation `test` also gives tables and figures (`reports.files`), where its report has
        segments, and where `recommendations` are given: a scored slate with `label` and `probability` is one, too.
        """
        summary = {f"{prefix}/{name}": value for name, value in report.summary.items()}
        self._reported += self._record(summary, step=0)
        rules = {name: value for name, value in report.policy.items() if self._rules.get(name) != value}
        self.tags({f"recattn.{prefix}.{name}": _short(name, value) for name, value in rules.items()})
        self._rules = self._rules or report.policy
        for path, value in reports.files(report, prefix, recommendations, hash_ids):
            self.artifact(path, value)

    def sample_recommendations(
        self,
        recommendations: pd.DataFrame,
        titles: samples.Titles = None,
        *,
        requests: int = 10,
        hash_ids: bool = True,
        reasons: pd.DataFrame | None = None,
    ) -> None:
        """The first `requests` lists, with titles, as the table `tables/sample_recommendations.json`.

        `reasons` (of `Recommender.explain`) say which interaction moved a score most.
        """
        table = samples.sample_table(recommendations, titles, requests, hash_ids, reasons)
        self.artifact("tables/sample_recommendations.json", table)

    def examples(
        self,
        model: Recommender,
        recommendations: pd.DataFrame,
        *,
        history: pd.DataFrame | HistoryStore,
        asked: pd.DataFrame | None = None,
        users: pd.DataFrame | None = None,
        titles: samples.Titles = None,
        requests: int = 10,
        table: bool = True,
        hash_ids: bool = True,
    ) -> None:
        """Sample lists with what moved them, and `figures/attention_age.png`: where the model looks.

        Args:
            model: What made the recommendations.
            recommendations: Of `Recommender.recommend`.
            history: The history it was given.
            asked: The requests it was given, with their moments; without, all are asked at the end of the history.
            users: The attributes of users it was given.
            titles: Names of items by id.
            requests: Of how many.
            table: Whether the lists are kept at all; the figure has no ids in it.
            hash_ids: Whether ids of users are hashed.
        """
        found = samples.take_apart(model, recommendations, asked, history, users, requests)
        if table:
            self.sample_recommendations(
                recommendations, titles, requests=requests, hash_ids=hash_ids, reasons=found.changes
            )
        figure = figures.attention_age(*found)
        if figure is not None:
            self.artifact("figures/attention_age.png", figure)

    def log_model(self, model: Recommender, name: str = "model", registered_model_name: str | None = None) -> ModelInfo:
        """Log a fitted Recommender as a pyfunc model (`flavor.log_model`), the run's reports as its metrics.

        Its step is the best validation epoch. Needs the run to be active, that is: inside `with track(...)`.

        Raises:
            ConfigError: The run is not active.
            ArtifactError: MLflow, or its store of files, did not take the model; `model.save(path)` keeps it.
        """
        active = mlflow.active_run()
        if active is None or active.info.run_id != self.id:
            raise ConfigError(f"Run {self.id} is not active. Call log_model inside its `with track(...)`.")
        best = self._curves.get(_HEADLINE, {})
        step = max(sorted(best), key=lambda epoch: best[epoch], default=0)
        self.flush()
        try:
            info = flavor.log_model(model, name, registered_model_name=registered_model_name, step=step)
        except RecattnError:
            raise
        except Exception as error:  # stores of files raise kinds of their own
            raise ArtifactError(
                f"the model could not be logged to MLflow at {privacy.scrubbed(self.tracking_uri)}: "
                f"{privacy.scrubbed(str(error))}. It is fitted all the same: keep it with model.save(path)."
            ) from error
        about = flavor.metadata(model).items()
        self.tags({f"recattn.{name}": _short(name, value) for name, value in about})
        self._writer.tie(self._reported, info.model_id)
        return info


def _short(name: str, value: object) -> object:
    """The first digits of a digest, enough for a tag; the whole one is in the run's files."""
    return str(value)[:16] if name.endswith("sha256") else value
