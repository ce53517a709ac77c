"""Runs with made-up evaluations, registered models out of them: no training."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.evaluation import Report
from recattn.tracking import track
from recattn.tracking.promotion import Decision, Guards, Rules, promote
from recattn.tracking.promotion.records import Record, read

USERS = 300
RULES, GUARDS = Rules(), Guards()
Judged = Callable[..., str]
_counter = itertools.count()


def report(gain: float, window: int, *, users: int = USERS, short_gain: float | None = None, **more: Any) -> Report:
    """An evaluation of week `window`: zero-heavy values a user, `gain` above the base in the mean."""
    rng = np.random.default_rng(window)
    base = rng.random(users) * (rng.random(users) < 0.6)
    length = np.arange(users) % 10
    raised = np.where(length <= 4, gain if short_gain is None else short_gain, gain)
    noise = np.random.default_rng(next(_counter) if gain else 0).normal(0, 0.05, users) if gain else 0.0
    values = base + raised + noise
    policy: dict[str, str | int] = {
        "week": window,
        "key": "user_id",
        "seen": "drop",
        "ties": "exclude",
        "time": "timestamp",
        "k": "10",
        "truth_sha256": f"{window:064x}",
        "users_sha256": f"{users:064x}",
        "requests": users,
        "truth_from": f"2026-01-{window:02d}T00:00:00Z",
        "truth_until": f"2026-01-{window:02d}T23:59:59Z",
        "segments": "history_length",
    }
    return Report(
        summary={"ndcg_at_10": float(values.mean()), "coverage_at_10": more.pop("coverage", 0.5)},
        per_request=pd.DataFrame(
            {"user_id": [f"u{n}" for n in range(users)], "ndcg_at_10": values, "history_length": length}
        ),
        policy={**policy, **more},
    )


@dataclasses.dataclass
class Bench:
    """An MLflow with runs; each bench has a registered model of its own."""

    uri: str
    name: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def run(
        self, *reports: Report, model: bool = True, parameters: float | None = 1000.0, seconds: float | None = 3.0
    ) -> str:
        """A finished run that keeps the reports under `w<week>`, with a logged model (no files); its id."""
        with track("promotion", tracking_uri=self.uri) as made:
            for one in reports:
                made.log(one, f"w{one.policy['week']}")
            made.tags({"recattn.test.requests": USERS})
            costs = {"cost/parameters": parameters, "cost/recommend_seconds": seconds}
            made.metrics({name: value for name, value in costs.items() if value is not None}, step=0)
        if model:
            logged = self.client.create_logged_model(made.experiment_id, "model", source_run_id=made.id)
            self.client.finalize_logged_model(logged.model_id, "READY")
        return made.id

    def promote(
        self, run: str, week: int, rules: Rules = RULES, guards: Guards = GUARDS, *, dry_run: bool = False
    ) -> Decision:
        return promote(run, self.name, rules, guards, prefix=f"w{week}", tracking_uri=self.uri, dry_run=dry_run)

    def champion(self, *reports: Report) -> str:
        """The first champion, version 1, judged in weeks 1 (used by its promotion), 2 and 3, or as given."""
        run = self.run(*(reports or (report(0, 1), report(0, 2), report(0, 3))))
        assert self.promote(run, 1).outcome == "promoted" or reports
        return run

    @property
    def records(self) -> list[Record]:
        return read(self.client.get_registered_model(self.name).tags)

    @property
    def aliases(self) -> dict[str, str]:
        return {alias: str(version) for alias, version in self.client.get_registered_model(self.name).aliases.items()}

    def tag(self, version: str, name: str) -> str | None:
        tags = self.client.get_model_version(self.name, version).tags
        return tags.get(f"recattn.promotion.{name}")


@pytest.fixture
def bench(uri: str, request: pytest.FixtureRequest) -> Bench:
    return Bench(uri, f"books-{next(_counter)}")
