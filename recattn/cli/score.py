"""`recattn score`: a file of candidates with their scores."""

from __future__ import annotations

from recattn.cli.batch import check_no_job, is_job
from recattn.cli.batch import run as run_batch
from recattn.cli.console import log, working
from recattn.cli.data import read_given
from recattn.cli.files import check_file, deliver
from recattn.cli.job_run import OFF, JobTracking
from recattn.cli.log_lines import LogFormat
from recattn.cli.serving import open_all, open_slate
from recattn.cli.settings import Columns
from recattn.config import Stage
from recattn.errors import ConfigError
from recattn.jobs.job import NO_LIMIT, BadFiles, Grouping
from recattn.jobs.limits import FailIf
from recattn.schema.columns import REASON
from recattn.schema.times import Unit

COLUMNS = Columns()


def run(
    model: str,
    slate: str,
    history: str,
    out: str | None = None,
    users: str | None = None,
    as_of: str | int | None = None,
    stage: Stage | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    device: str | None = None,
    threads: int | None = None,
    tracking_uri: str | None = None,
    overwrite: bool = False,
    explain: int = 0,
    memory_budget: str = "2GB",
    rows_a_part: int | None = None,
    shard: str | None = None,
    grouping: Grouping = "auto",
    bad_files: BadFiles = "stop",
    fail_if: FailIf = NO_LIMIT,
    log_format: LogFormat = "text",
    tracking: JobTracking = OFF,
) -> None:
    """Score candidates: the rows of the slate, in order, with `score`, and `reason` where there is something to say.

    recattn score --model model --slate candidates.csv --history log.parquet --out scores.csv
    recattn score --model model --slate candidates/ --history store --out scores

    An `--out` without .csv or .parquet is a folder, written by a batch job: in parts, within a memory budget; killed
    and started again it goes on. See `recattn.jobs`.

    Args:
        model: Model folder, or a model in MLflow: `models:/name@alias`, `runs:/id/model`.
        slate: File with user_id, item_id and, where known, request_id, timestamp and context columns.
        history: Interactions: a file, or a store of `recattn prepare`. A request sees those before its moment.
        out: File for the result, .csv or .parquet, or a folder or URI such as s3://bucket/scores; without it, stdout.
        users: File with the attributes of users, for models that use them.
        as_of: The moment of rows that name none, a date or seconds; just after the end of the history by default.
        stage: A cheaper score than the model's own.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        device: cpu, cuda ...; by default the best there is.
        threads: Torch threads on the CPU.
        tracking_uri: The MLflow of a model there.
        overwrite: Whether to replace the file, or begin the folder anew.
        explain: For a folder: interactions to add to each row, those whose masking changes its score most.
        memory_budget: For a folder: what the job may hold in memory beside the libraries and the model.
        rows_a_part: For a folder: rows a part; as many as the budget holds by default.
        shard: For a folder: `i/n`, one of n shares of the work; `recattn publish` puts them together.
        grouping: For a folder: whether the rows of a request are brought together first, where they lie far apart.
        bad_files: For a folder: what to do with files of the slate that cannot be read.
        fail_if: For a folder: limits; where one is passed nothing is published, and the status is 1.
        log_format: For a folder: `json` writes all news as JSON, one object a line.
        tracking: For a folder: a run in MLflow.
    """
    if is_job(out, shard):
        given = {"history": history, "out": out, "slate": slate, "user_features": users, "as_of": as_of}
        shape = {"stage": stage, "columns": columns, "unit": unit, "device": device, "threads": threads}
        batch = {"memory_budget": memory_budget, "rows_a_part": rows_a_part, "grouping": grouping, "shard": shard}
        rest = {"explain": explain, "bad_files": bad_files, "overwrite": overwrite}
        run_batch(model, tracking_uri, log_format, tracking, **given, **shape, **batch, **rest, fail_if=fail_if)
        return
    if explain:
        raise ConfigError("explain is for results in a folder. Pass --out FOLDER, or see recattn explain.")
    check_no_job(fail_if, log_format, tracking)
    place = check_file(out, overwrite=overwrite)
    recommender, past = open_all(model, history, columns, unit, tracking_uri=tracking_uri, device=device)
    frame = open_slate(slate, recommender, columns, unit)
    attributes = read_given(users, "users", columns)
    with working(f"scoring {len(frame):,} candidates"):
        scores = recommender.score(
            frame, history=past, users=attributes, as_of=as_of, stage=stage, device=device, threads=threads
        )
    for reason, count in scores[REASON].value_counts().items():
        log.info("%s rows: %s", f"{count:,}", reason)
    deliver(scores, place, "scores")
