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
from recattn.cli.models import IN_MLFLOW, open_model
from recattn.cli.serving import check_device
from recattn.errors import ConfigError

if TYPE_CHECKING:
    from recattn.jobs.parts import Progress as Told

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


def run(model: str, tracking_uri: str | None, **settings: Any) -> None:
    """Run the job of these settings; one line at the end."""
    from recattn.jobs import ScoreJob, run_job
    from recattn.jobs.storage import shown

    check_device(settings.get("device"))
    settings["columns"] = settings["columns"].mapping()
    with _folder_of(model, tracking_uri) as folder, told() as progress:
        result = run_job(ScoreJob(model=str(folder), **settings), progress=progress)
    if not result.finished_before:
        rate = "" if result.kept else f", {result.rows / max(result.seconds, 1e-9):,.0f} rows/s"
        place = shown(result.out)  # without what a URI may hold of keys
        log.info("%s rows in %s parts in %s (%.0f s%s)", f"{result.rows:,}", result.parts, place, result.seconds, rate)


@contextlib.contextmanager
def told() -> Iterator[Told]:
    """Progress of a job: a bar with rate and time left at a terminal, a line now and then elsewhere."""
    if not NEWS.is_terminal:
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
        rate = (done - before) / max(now - since, 1e-9)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        log.info("%s of %s (%s/s%s)", f"{done:,}", f"{total:,}", f"{rate:,.0f}", left)


@contextlib.contextmanager
def _folder_of(model: str, tracking_uri: str | None) -> Iterator[Path]:
    """The folder of a model; one in MLflow is fetched into a folder for the time of the job."""
    if not model.startswith(IN_MLFLOW):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        open_model(model, tracking_uri).save(Path(folder) / "model")
        yield Path(folder) / "model"
