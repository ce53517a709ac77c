"""A command's result in a folder: by a batch job, with its progress."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from recattn.cli.console import NEWS, log
from recattn.cli.files import SUFFIXES
from recattn.cli.job_run import JobTracking, job_tracked
from recattn.cli.log_lines import LogFormat, spoken
from recattn.cli.models import IN_MLFLOW
from recattn.cli.serving import check_device
from recattn.errors import ConfigError
from recattn.jobs.events import pace
from recattn.jobs.job import NO_LIMIT
from recattn.jobs.limits import FailIf

if TYPE_CHECKING:
    from recattn.jobs.parts import Progress as Told
    from recattn.tracking.registry import ModelSource

EVERY = 15.0  # seconds between two lines where there is no terminal


def is_job(out: str | None, shard: str | None) -> bool:
    """Whether the result goes into a folder: `out` has no ending of a file, or is to have shards.

    Raises:
        ConfigError: A shard of nothing.
    """
    if out is None:
        if shard is not None:
            raise ConfigError(f"shard={shard!r} needs a folder to write to. Pass --out FOLDER.")
        return False
    if shard is not None or "://" in out or out.endswith("/") or Path(out).is_dir():
        return True
    suffix = Path(out).suffix.lower()
    return suffix not in SUFFIXES and re.fullmatch(r"\.[a-z]{2,7}", suffix) is None


def check_no_job(fail_if: FailIf, log_format: LogFormat, tracking: JobTracking) -> None:
    """ConfigError for settings of a job where the result is a file."""
    given = {"fail_if": fail_if != NO_LIMIT, "log_format": log_format != "text", "tracking": tracking.enabled}
    for name, there in given.items():
        if there:
            raise ConfigError(f"{name} is for results in a folder. Pass --out FOLDER.")


def run(
    model: str,
    tracking_uri: str | None,
    log_format: LogFormat,
    tracking: JobTracking,
    /,
    **settings: Any,
) -> None:
    """Run the job of these settings; one line at the end."""
    from recattn.jobs import ScoreJob, run_job
    from recattn.jobs.storage import shown

    settings["columns"] = settings["columns"].mapping()
    with spoken(log_format):
        check_device(settings.get("device"))
        ScoreJob(model=model, **settings)  # its door, before a model is fetched
        with folder_of(model, tracking_uri) as (folder, source):
            job = ScoreJob(model=str(folder), **settings)
            with (
                job_tracked(tracking, job, tracking_uri, source, model) as tell_run,
                told(log_format) as progress,
            ):
                result = run_job(job, progress=progress)
                tell_run(result)
        if not result.finished_before:
            rate = "" if result.kept else f", {result.rows / max(result.seconds, 1e-9):,.0f} rows/s"
            place = shown(result.out)  # without what a URI may hold of keys
            took = f"{result.seconds:.0f} s{rate}"
            log.info("%s rows in %s parts in %s (%s)", f"{result.rows:,}", result.parts, place, took)


@contextlib.contextmanager
def told(log_format: LogFormat = "text") -> Iterator[Told]:
    """Progress of a job: a bar with rate and time left at a terminal, a line now and then elsewhere."""
    if not NEWS.is_terminal or log_format == "json":
        yield _Lines()
        return
    columns = (
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=NEWS, transient=True) as bar:
        task = bar.add_task("scoring", total=None, rate="")

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            speed = bar.tasks[0].speed
            bar.update(task, rate="" if not speed else f"{speed:,.0f}/s")

        yield progress


class _Lines:
    """Logs how far a job is, at most once every `EVERY` seconds."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        since, before = self._first
        if now - self._last < EVERY or done >= total:
            return
        self._last = now
        how_fast = pace(done, before, total, now - since)
        rate, left = how_fast["rate"], how_fast["eta"]
        text = f"{done:,} of {total:,} ({rate:,.0f}/s{'' if left is None else f', {left:,.0f} s left'})"
        log.info("%s", text, extra={"fields": {"event": "progress", "done": done, "total": total, **how_fast}})


@contextlib.contextmanager
def folder_of(model: str, tracking_uri: str | None) -> Iterator[tuple[Path, ModelSource | None]]:
    """The folder of a model; one in MLflow is fetched into a folder for the time of the job, and told what it is."""
    if not model.startswith(IN_MLFLOW):
        yield Path(model), None
        return
    from recattn.tracking.registry import fetch_model

    with tempfile.TemporaryDirectory() as folder:
        recommender, source = fetch_model(model, tracking_uri=tracking_uri)
        recommender.save(Path(folder) / "model")
        if source.pinned != source.asked:
            log.info("%s is version %s", source.asked, source.version)
        yield Path(folder) / "model", source
