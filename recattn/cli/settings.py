"""Settings that several commands share, each with its options."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pandas as pd

from recattn.config import Ties, Time
from recattn.dataset import Split, leave_last_out, split_by_time


@dataclasses.dataclass(frozen=True)
class Columns:
    """What your files call our columns, where the names differ.

    Attributes:
        user_id: Your name of user_id.
        item_id: Your name of item_id.
        timestamp: Your name of timestamp.
        event_type: Your name of event_type (view, purchase ...).
        weight: Your name of weight (a rating, an amount).
        request_id: Your name of request_id.
    """

    user_id: str | None = None
    item_id: str | None = None
    timestamp: str | None = None
    event_type: str | None = None
    weight: str | None = None
    request_id: str | None = None

    def mapping(self) -> dict[str, str]:
        """Our name to yours, of those given."""
        return {name: theirs for name, theirs in dataclasses.asdict(self).items() if theirs is not None}


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """How the log is cut into train, validation and test.

    Attributes:
        kind: `time`: at two moments, the same for all users. `leave_last_out`: each user's last interaction is test,
            the one before validation; it leaks the future of other users, and serves to compare with published figures.
            `none`: train on everything, judge nothing.
        q: For `time`: share of the interactions before each cut that is not given.
        valid_from: For `time`: where validation begins, a date or seconds.
        test_from: For `time`: where test begins, a date or seconds.
        min_history: For `leave_last_out`: interactions a user must have before its validation target.
    """

    kind: Literal["time", "leave_last_out", "none"] = "time"
    q: float = 0.9
    valid_from: str | int | None = None
    test_from: str | int | None = None
    min_history: int = 1

    def cut(self, log: pd.DataFrame, *, time: Time, ties: Ties) -> Split:
        """The split of a canonical log; settings of other kinds do not count. `kind` must not be `none`."""
        if self.kind == "leave_last_out":
            return leave_last_out(log, time=time, ties=ties, min_history=self.min_history)
        cuts: dict[str, Any] = {"valid_from": self.valid_from, "test_from": self.test_from}
        return split_by_time(log, **cuts, q=self.q, ties=ties, time=time)


@dataclasses.dataclass(frozen=True)
class Tracking:
    """Where the run is kept in MLflow.

    Attributes:
        enabled: Whether there is a run at all.
        experiment: The experiment it belongs to.
        run_name: Its name; MLflow makes one up by default.
        tracking_uri: The MLflow to write to; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db right here.
        registered_model_name: Also a new version of this registered model.
        samples: Whether sample lists (items and titles, ids of users hashed) are kept as a table.
        system_metrics: Whether MLflow records processor, memory and disk meanwhile; needs psutil.
    """

    enabled: bool = True
    experiment: str = "recattn"
    run_name: str | None = None
    tracking_uri: str | None = None
    registered_model_name: str | None = None
    samples: bool = True
    system_metrics: bool = True
