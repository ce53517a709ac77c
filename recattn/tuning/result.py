"""What a search found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from recattn.config import ModelConfig, TrainConfig, to_dict

if TYPE_CHECKING:
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
