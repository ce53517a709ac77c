"""What a search found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from recattn.config import ModelConfig, TrainConfig, to_dict
from recattn.errors import TrainingError
from recattn.tuning.space import Space
from recattn.tuning.study import ERROR, counted

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TuneResult:
    """The best settings with the trials they were chosen from.

    Attributes:
        model: The best settings of the scorer.
        train: The best settings of its training.
        values: Of the best trial: what the space named.
        value: Its `metric`, on validation.
        metric: What trials were judged by, `valid/ndcg_at_10`.
        trials: One row a trial: `trial`, `state` (complete, pruned, failed), `value` (of a pruned trial the last),
            `epochs`, `seconds`, a column a dimension, `run_id` in MLflow, `error`.
        importances: Share of the metric's variance that each dimension explains (fANOVA); empty with too few trials.
        study: Name of the study.
        storage: The SQLite file it is in.
    """

    model: ModelConfig
    train: TrainConfig
    values: Mapping[str, Any]
    value: float
    metric: str
    trials: pd.DataFrame
    importances: Mapping[str, float]
    study: str
    storage: str

    def best(self, n: int = 5) -> pd.DataFrame:
        """The n best complete trials, best first."""
        complete = self.trials[self.trials["state"] == "complete"]
        return complete.sort_values(["value", "trial"], ascending=[False, True]).head(n).reset_index(drop=True)

    def config(self) -> dict[str, Any]:
        """`model` and `train` as `recattn train --config` takes them."""
        return {"model": to_dict(self.model), "train": to_dict(self.train)}

    def figure(self) -> Figure:
        """The course of the search beside the importances."""
        from recattn.tuning.figure import course

        return course(self)


def result_of(
    study: optuna.Study, space: Space, model: ModelConfig, train: TrainConfig, metric: str, storage: Path
) -> TuneResult:
    """What the trials of a study come to; TrainingError where none has ended well."""
    states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    ended = [trial for trial in counted(study) if trial.state.name in states]
    rows = [
        {
            "trial": trial.number,
            "state": states[trial.state.name],
            "value": trial.value,
            "epochs": trial.last_step,
            "seconds": (trial.datetime_complete - trial.datetime_start).total_seconds(),
            **{one.name: trial.params.get(one.name) for one in space.dimensions},
            "run_id": trial.user_attrs.get("run_id"),
            "error": trial.user_attrs.get(ERROR),
        }
        for trial in ended
    ]
    complete = [trial for trial in ended if trial.state.name == "COMPLETE"]
    if not complete:
        why = next((row["error"] for row in reversed(rows) if row["error"]), "they were all pruned")
        raise TrainingError(f"none of the {len(ended)} trials of study {study.study_name!r} ended well: {why}")
    best = max(complete, key=lambda trial: (trial.value, -trial.number))
    values = {one.name: best.params[one.name] for one in space.dimensions}
    tuned = space.settings(values, model, train)
    return TuneResult(
        *tuned, values, best.value, metric, pd.DataFrame(rows), _importances(study), study.study_name, str(storage)
    )


def _importances(study: optuna.Study) -> dict[str, float]:
    import optuna

    try:
        return optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )
    except (ValueError, RuntimeError):  # fewer than two complete trials, or all alike
        return {}
