"""Runs as a table: what MLflow's own page shows, for a terminal."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from recattn.errors import ConfigError, listed, nearest

SHOWN = "test/"
_HEADLINE = ("test/ndcg_at_10", "valid/ndcg_at_10")
_MOST = 4
_LESS_IS_BETTER = ("loss", "seconds", "memory")
_PARENT = "mlflow.parentRunId"


def find(client: MlflowClient, experiment: str | None = None, sort: str | None = None, n: int = 20) -> list[Run]:
    """The latest `n` runs, or the best by the metric `sort` (`test/ndcg_at_10`; without a section, of `test/`).

    Of losses and costs the least are best. Runs without the metric are left out.

    Raises:
        ConfigError: There is no such experiment, or none of its runs has the metric.
    """
    experiments = client.search_experiments(view_type=ViewType.ACTIVE_ONLY)
    names = {one.name: one.experiment_id for one in experiments}
    if experiment is not None and experiment not in names:
        hint = nearest(experiment, list(names))
        raise ConfigError(f"there is no experiment {experiment!r}.{hint} There are: {listed(list(names))}.")
    ids = list(names.values()) if experiment is None else [names[experiment]]
    latest = list(client.search_runs(ids, order_by=["attributes.start_time DESC"], max_results=n))
    if sort is None:
        return latest
    for name in (sort, SHOWN + sort):
        way = "ASC" if any(word in name for word in _LESS_IS_BETTER) else "DESC"
        found = client.search_runs(ids, order_by=[f"metrics.`{name}` {way}"], max_results=n)
        found = [run for run in found if name in run.data.metrics]
        if found:
            return found
    known = sorted({name for run in latest for name in run.data.metrics})
    raise ConfigError(f"no run has the metric {sort!r}.{nearest(sort, known)} There are: {listed(known, 20)}.")


def table(runs: Sequence[Run], sort: str | None = None) -> pd.DataFrame:
    """One row a run: `run`, `name`, `status`, `started` (local time), up to four metrics, `seed`, `parent`, `group`.

    The metrics are those of `test/` that most runs have, NDCG@10 first. `group` is equal for runs that differ in their
    seed only.
    """
    chosen = _metrics(runs, sort)
    rows = [
        {
            "run": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "started": f"{_moment(run).astimezone():%F %R}",
            **{name: run.data.metrics.get(name) for name in chosen},
            "seed": run.data.params.get("train.seed"),
            "parent": run.data.tags.get(_PARENT, "")[:8] or None,
            "group": run.data.tags.get("recattn.seed_group", "")[:8] or None,
        }
        for run in runs
    ]
    found = pd.DataFrame(rows, columns=["run", "name", "status", "started", *chosen, "seed", "parent", "group"])
    return found.astype(dict.fromkeys(chosen, float))


def plain(runs: Sequence[Run]) -> list[dict[str, object]]:
    """One dict a run, with all its metrics, ready for JSON; times are ISO 8601, UTC."""
    return [
        {
            "run_id": run.info.run_id,
            "name": run.info.run_name,
            "experiment_id": run.info.experiment_id,
            "status": run.info.status,
            "started": _moment(run).isoformat(timespec="seconds"),
            "seed": run.data.params.get("train.seed"),
            "parent": run.data.tags.get(_PARENT),
            "seed_group": run.data.tags.get("recattn.seed_group"),
            "metrics": dict(sorted(run.data.metrics.items())),
        }
        for run in runs
    ]


def _metrics(runs: Sequence[Run], sort: str | None) -> list[str]:
    counts = Counter(name for run in runs for name in run.data.metrics)
    wanted = [name for name in (sort, f"{SHOWN}{sort}") if sort and name in counts]
    common = [name for name, _ in counts.most_common() if name.startswith(SHOWN)]
    return list(dict.fromkeys([*wanted, *(name for name in _HEADLINE if name in counts), *common]))[:_MOST]


def _moment(run: Run) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(run.info.start_time / 1000, datetime.UTC)
