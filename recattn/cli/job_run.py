"""A batch job's run in MLflow, where one is wanted."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from recattn.dataset.profile import LENGTH_EDGES
from recattn.jobs.facts import Facts
from recattn.jobs.job import FILES, JobResult, ScoreJob
from recattn.jobs.limits import LimitPassed
from recattn.jobs.storage import shown
from recattn.schema.columns import ITEM, RANK, REASON, REQUEST, SCORE, USER

if TYPE_CHECKING:
    from recattn.tracking.registry import ModelSource

SAMPLE = 200  # rows of the result, ids of users hashed
SHARES = ("unknown_items", "unknown_history", "no_history", "drift", "score_drift")


@dataclasses.dataclass(frozen=True)
class JobTracking:
    """Where the run of a job is kept in MLflow.

    Attributes:
        enabled: Whether there is a run at all.
        experiment: The experiment it belongs to.
        run_name: Its name; MLflow makes one up by default.
        tracking_uri: The MLflow to write to; by default that of the model, as tracking_uri says.
    """

    enabled: bool = False
    experiment: str = "recattn-jobs"
    run_name: str | None = None
    tracking_uri: str | None = None


OFF = JobTracking()


@contextlib.contextmanager
def job_tracked(
    settings: JobTracking, job: ScoreJob, tracking_uri: str | None, source: ModelSource | None, model: str
) -> Iterator[Callable[[JobResult], None]]:
    """The run around a job; what is yielded is to be told of its result."""
    if not settings.enabled:
        yield lambda result: None
        return
    from recattn.jobs.watch import InputChanged
    from recattn.tracking.jobs import job_run
    from recattn.tracking.quiet import quiet

    place = dataclasses.asdict(settings) | {"tracking_uri": settings.tracking_uri or tracking_uri}
    del place["enabled"]
    tags = {"recattn.job.kind": "score" if job.slate is not None else "recommend", "recattn.job.out": shown(job.out)}
    tags |= {"recattn.job.model": shown(model)} if source is None else source.tags()
    with quiet("mlflow", "alembic"), job_run(_params(job, model), tags, source=source, **place) as outcome:
        outcome.safe = (LimitPassed, InputChanged)

        def told(result: JobResult) -> None:
            outcome.metrics |= metrics(result)
            outcome.tags |= {"recattn.job.digest": result.digest[:16], "recattn.job.kept_parts": result.kept}
            outcome.files |= tables(result.facts) | ({} if job.shard else {"job/sample.parquet": sample(result.out)})

        try:
            yield told
        except LimitPassed as error:
            if error.facts is not None:
                outcome.metrics |= figures(error.facts)
                outcome.files |= tables(error.facts)
            raise


def metrics(result: JobResult) -> dict[str, float]:
    """`job/rows` and so on, without what is not known."""
    rate = {} if result.kept else {"job/rows_per_second": result.rows / max(result.seconds, 1e-9)}
    return {"job/seconds": result.seconds, "job/parts": float(result.parts), **rate, **figures(result.facts)}


def figures(facts: Facts) -> dict[str, float]:
    """Of facts, those that are numbers."""
    found = {"job/rows": float(facts.rows), "job/requests": float(facts.requests)}
    found |= {f"job/{name}": getattr(facts, name) for name in SHARES if getattr(facts, name) is not None}
    return found | {f"job/score_p{100 * q:02.0f}": value for q, value in facts.scores.items()}


def tables(facts: Facts) -> dict[str, object]:
    """`job/history_lengths.json`: requests by the length of their history."""
    names = ["0", *(f"{edge:,}" if edge == 1 else f"{edge:,} - {2 * edge - 1:,}" for edge in LENGTH_EDGES)]
    frame = pd.DataFrame({"history_length": names[: len(facts.lengths)], "requests": facts.lengths})
    return {"job/history_lengths.json": frame}


def sample(out: str) -> pd.DataFrame:
    """The first rows of a result, without columns of its owner."""
    from recattn.jobs import open_output

    found = open_output(out)
    columns = [name for name in (REQUEST, USER, ITEM, SCORE, RANK, REASON) if name in found.schema.names]
    return found.head(SAMPLE, columns=columns).to_pandas()


def _params(job: ScoreJob, model: str) -> dict[str, Any]:
    files = {name: shown(where) for name in FILES if (where := getattr(job, name)) is not None}
    limits = {f"fail_if.{name}": limit for name, limit in dataclasses.asdict(job.fail_if).items() if limit is not None}
    plain = {name: getattr(job, name) for name in ("k", "stage", "as_of", "explain", "shard", "threads", "device")}
    given = {name: value for name, value in plain.items() if value is not None}
    return files | {"model": shown(model), "memory_budget": job.memory_budget} | given | limits
