"""`recattn recommend`: the best items for users, in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from recattn.cli.batch import check_no_job, is_job
from recattn.cli.batch import run as run_batch
from recattn.cli.console import working
from recattn.cli.data import as_ids, is_path, read_given, read_table, read_who
from recattn.cli.files import check_file, deliver
from recattn.cli.job_run import OFF, JobTracking
from recattn.cli.log_lines import LogFormat
from recattn.cli.serving import open_all
from recattn.cli.settings import Columns
from recattn.config import Stage
from recattn.errors import ConfigError
from recattn.jobs.job import NO_LIMIT
from recattn.jobs.limits import FailIf
from recattn.schema import check_k, require
from recattn.schema.columns import ITEM
from recattn.schema.times import Unit

if TYPE_CHECKING:
    from recattn.recommender import Recommender

COLUMNS = Columns()


def run(
    model: str,
    history: str,
    users: str | list[Any] | None = None,
    out: str | None = None,
    k: int = 10,
    candidates: str | list[Any] | None = None,
    exclude_seen: bool = True,
    user_features: str | None = None,
    as_of: str | int | None = None,
    stage: Stage | None = None,
    stages: str | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    device: str | None = None,
    threads: int | None = None,
    tracking_uri: str | None = None,
    overwrite: bool = False,
    explain: int = 0,
    fallback: str | None = None,
    memory_budget: str = "2GB",
    rows_a_part: int | None = None,
    shard: str | None = None,
    fail_if: FailIf = NO_LIMIT,
    log_format: LogFormat = "text",
    tracking: JobTracking = OFF,
) -> None:
    """List the best items: `[request_id,] user_id, item_id, score, rank`, best first.

    recattn recommend --model model --history log.parquet --users u1,u7 --k 5
    recattn recommend --model model --history store --k 20 --out lists

    An `--out` without .csv or .parquet is a folder, written by a batch job: in parts, within a memory budget; killed
    and started again it goes on. See `recattn.jobs`.

    Args:
        model: Model folder, or a model in MLflow: `models:/name@alias`, `runs:/id/model`.
        history: Interactions: a file, or a store of `recattn prepare`.
        users: Ids (`u1,u7`), or a file of requests with user_id and, where known, request_id, timestamp and context
            columns. Without it, every user of the history.
        out: File for the result, .csv or .parquet, or a folder or URI such as s3://bucket/lists; without it, stdout.
        k: Items a user.
        candidates: Ids of the only items to choose from (`a,b,c`), or a file with an item_id column.
        exclude_seen: Whether items of the visible history are left out.
        user_features: File with the attributes of users, for models that use them.
        as_of: The moment of requests that name none, a date or seconds; just after the end of the history by default.
        stage: A cheaper score than the model's own.
        stages: YAML of a two-stage job: where candidates come from, what filters them, what becomes of the ranked lists
            (`recattn.TwoStage`).
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        device: cpu, cuda ...; by default the best there is.
        threads: Torch threads on the CPU.
        tracking_uri: The MLflow of a model there.
        overwrite: Whether to replace the file, or begin the folder anew.
        explain: For a folder: interactions to add to each row, those whose masking changes its score most.
        fallback: For a folder: file with an item_id column, given in this order to requests without history.
        memory_budget: For a folder: what the job may hold in memory beside the libraries and the model.
        rows_a_part: For a folder: requests a part; as many as the budget holds by default.
        shard: For a folder: `i/n`, one of n shares of the work; `recattn publish` puts them together.
        fail_if: For a folder: limits; where one is passed nothing is published, and the status is 1.
        log_format: For a folder: `json` writes all news as JSON, one object a line.
        tracking: For a folder: a run in MLflow.
    """
    check_k(k)
    if stages is not None:
        given = {"candidates": candidates, "stage": stage, "fallback": fallback, "explain": explain or None}
        beside = [name for name, value in given.items() if value is not None]
        if beside or is_job(out, shard):
            wrong = f"{beside[0]} goes" if beside else "a folder as out goes"
            raise ConfigError(f"{wrong} not with stages: what is scored stands in its file, the result is one file.")
    if is_job(out, shard):
        for name, value in (("users", users), ("candidates", candidates)):
            if value is not None and not (isinstance(value, str) and is_path(value)):
                raise ConfigError(f"{name} must be a file where the result is a folder, got {value!r}.")
        files = {"history": history, "out": out, "users": users, "candidates": candidates, "fallback": fallback}
        asked = {"k": k, "exclude_seen": exclude_seen, "user_features": user_features, "as_of": as_of}
        shape = {"stage": stage, "columns": columns, "unit": unit, "device": device, "threads": threads}
        batch = {"memory_budget": memory_budget, "rows_a_part": rows_a_part, "shard": shard, "explain": explain}
        run_batch(
            model,
            tracking_uri,
            log_format,
            tracking,
            **files,
            **asked,
            **shape,
            **batch,
            overwrite=overwrite,
            fail_if=fail_if,
        )
        return
    if explain or fallback:
        raise ConfigError("explain and fallback are for results in a folder. Pass --out FOLDER.")
    check_no_job(fail_if, log_format, tracking)
    place = check_file(out, overwrite=overwrite)
    recommender, log = open_all(model, history, columns, unit, tracking_uri=tracking_uri, device=device)
    who = read_who(users, log, columns, unit=unit, time=recommender.config.time)
    attributes = read_given(user_features, "users", columns)
    if stages is not None:
        from recattn.candidates import TwoStage

        job = TwoStage.read(stages)
        rest = {"user_features": attributes, "as_of": as_of, "device": device, "threads": threads}
        with working("recommending in two stages"):
            best = job.recommend(recommender, who, history=log, k=k, **rest)
        deliver(best, place, "recommendations")
        return
    with working("recommending"):
        best = recommender.recommend(
            who,
            history=log,
            user_features=attributes,
            k=k,
            as_of=as_of,
            exclude_seen=exclude_seen,
            candidates=_candidates(candidates, recommender, columns),
            stage=stage,
            device=device,
            threads=threads,
        )
    deliver(best, place, "recommendations")


def _candidates(given: str | list[Any] | None, model: Recommender, columns: Columns) -> list[Any] | None:
    if given is None:
        return None
    if isinstance(given, str) and is_path(given):
        frame = read_table(given, "candidates", columns)
        require(frame, [ITEM], "candidates")
        return frame[ITEM].tolist()
    return as_ids(given, pd.Series(model.items.vocabulary.ids), "candidates")
