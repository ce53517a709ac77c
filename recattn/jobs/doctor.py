"""What a job will take and what is wrong with its inputs, told before it starts."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from recattn.errors import RecattnError, listed
from recattn.jobs import budget
from recattn.jobs.budget import told
from recattn.jobs.checks import Told, history_findings, slate_findings
from recattn.jobs.engine import WATCHED, Engine
from recattn.jobs.job import ScoreJob
from recattn.jobs.manifest import SUCCESS, Manifest
from recattn.jobs.parts import encode
from recattn.jobs.plan import about, request_keys, stretches, with_choices
from recattn.jobs.run import check_place
from recattn.jobs.slate import Rows, open_rows
from recattn.jobs.storage import Storage, shown
from recattn.schema.columns import ITEM, USER

Level = Literal["error", "warning", "note"]
SAMPLE_ROWS, SAMPLE_STRETCHES = 100_000, 10  # of a slate that are looked at
TIMED = 300  # requests that are scored
NEAR = 0.9  # share of what is there, from which on it is called scarce


@dataclass(frozen=True)
class Finding:
    """One thing to know: `error` keeps the job from running, `warning` spoils its result."""

    level: Level
    about: str
    text: str


@dataclass(frozen=True)
class Estimate:
    """What the job will take here: rates from a sample that was scored, memory and disk from sizes.

    Attributes:
        rows: Rows of the slate, or requests for the catalog.
        parts: Files of the result.
        timed: Rows (requests) the rate was measured on.
        rate: Rows (requests) a second.
        seconds: Of the whole job in one process, with what opening the inputs took.
        memory: Bytes at the peak at most, libraries, model and history among them; less where rows are narrow.
        disk: Bytes of the result.
        work: Bytes of files beside it while rows of one request are brought together.
    """

    rows: int
    parts: int
    timed: int
    rate: float
    seconds: float
    memory: int
    disk: int
    work: int


@dataclass
class Diagnosis:
    """Findings, the worst first, and the estimate where the inputs allow one."""

    findings: list[Finding] = field(default_factory=list)
    estimate: Estimate | None = None

    @property
    def errors(self) -> int:
        """Findings that keep the job from running."""
        return sum(finding.level == "error" for finding in self.findings)

    def tell(self, level: Level, about: str, text: str) -> None:
        """One more finding."""
        self.findings.append(Finding(level, about, text))

    @contextlib.contextmanager
    def refused(self, about: str) -> Iterator[None]:
        """What a door refuses inside the block is an error found."""
        try:
            yield
        except RecattnError as error:
            self.tell("error", about, str(error))


def examine(job: ScoreJob, *, place: bool = True) -> Diagnosis:
    """Open the inputs of a job, look at a sample of them, score a few hundred requests; nothing is written.

    `place`: whether the output folder is looked at, too.
    """
    found, since = Diagnosis(), time.perf_counter()
    if place:
        with found.refused("out"):
            _place(job, found)
    engine = rows = None
    with found.refused("model and history"):
        engine = Engine.open(job)
        for one in history_findings(engine):
            found.tell(*one)
    if engine is not None:
        with found.refused("fail_if"):
            about(engine)
        with found.refused("candidates and fallback"):
            engine, _ = with_choices(engine)
    asked, what, wanted = (job.slate, "slate", [USER, ITEM]) if job.slate is not None else (job.users, "users", [USER])
    if asked is not None:
        with found.refused(what):
            rows = open_rows(asked, what, job.columns, bad_files=job.bad_files, wanted=wanted)
            if rows.skipped:
                found.tell("warning", what, f"{len(rows.skipped):,} files are skipped: {listed(rows.skipped, 3)}.")
            if not len(rows):
                found.tell("warning", what, "there is no row. Is it the right file?")
    opened = time.perf_counter() - since
    if engine is not None and (rows is not None or asked is None):
        with found.refused(what):
            found.estimate = _estimate(engine, rows, found, opened)
            _scarce(job, found.estimate, found, place=place)
    found.findings.sort(key=lambda finding: ("error", "warning", "note").index(finding.level))
    return found


def _place(job: ScoreJob, found: Diagnosis) -> None:
    whole = Storage.at(job.out)
    check_place(whole, job)
    if whole.local is not None:
        there = next(place for place in (whole.local, *whole.local.parents) if place.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            found.tell("error", "out", f"no permission to write in {there}. Name another folder.")
    if not job.overwrite and Manifest.load(whole) is not None:
        state = "a finished result" if whole.kind(SUCCESS) == "file" else "a job that was begun"
        found.tell("note", "out", f"{shown(job.out)} holds {state}: the same job goes on from it, another is refused.")


def _estimate(engine: Engine, rows: Rows | None, found: Diagnosis, opened: float) -> Estimate:
    job, size = engine.job, engine.job.part_rows()
    total = len(engine.store.users) if rows is None else len(rows)
    parts, work = len(stretches(total, size)), 0
    if job.slate is not None:
        assert rows is not None
        table = _sample(rows)
        frame, requests = engine.slate(table)
        keys = request_keys(rows.names, timed=engine.store.times is not None)
        findings, apart = slate_findings(engine, frame, requests, table.select(keys), whole=len(table) == total)
        if parts > 1 and (job.grouping == "requests" or (job.grouping == "auto" and apart)):
            used = table.select(engine.slate_columns(table.column_names))
            work = round(2 * used.nbytes / max(len(table), 1) * total)
        few = requests.take(_spread(len(requests), TIMED))

        def score() -> tuple[Any, int]:
            columns = engine.score(*_only(frame, few))
            return pa.table({name: v for name, v in columns.items() if name not in WATCHED}), len(columns[WATCHED[0]])

        beside = table.nbytes / max(len(table), 1) / 2  # zstd halves most columns
    else:
        requests, _ = engine.users(0, total, None if rows is None else next(rows.tables([(0, total)])))
        findings = [] if rows is None else _users_findings(requests)
        few, beside = requests.take(_spread(len(requests), TIMED)), 0.0

        def score() -> tuple[Any, int]:
            types = {
                USER: pa.array(few.user_ids[:1]).type,
                ITEM: pa.array(engine.model.blueprint.table.vocabulary.ids[:1]).type,
            }
            return engine.recommend(few, types)[0], len(few)

    for one in findings:
        found.tell(*one)
    timed, rate, bytes_each = _timed(score) if len(few) else (0, 0.0, 0.0)
    alive = budget.ALIVE * min(size, max(total, 1)) * _each(job)
    return Estimate(
        rows=total,
        parts=parts,
        timed=timed,
        rate=rate,
        seconds=opened + (total / rate if rate else 0.0),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + alive,
        disk=round((bytes_each + beside) * total),
        work=work,
    )


def _each(job: ScoreJob) -> int:
    return budget.ROW_BYTES if job.k is None else budget.USER_BYTES + budget.LINE_BYTES * job.k


def _timed(score: Callable[[], tuple[Any, int]]) -> tuple[int, float, float]:
    """Rows of the sample, rows a second, bytes of Parquet a row."""
    score()  # the first call pays for set-up
    since = time.perf_counter()
    table, count = score()
    return count, count / max(time.perf_counter() - since, 1e-9), len(encode(table)) / max(count, 1)


def _sample(rows: Rows) -> Any:
    """Stretches all over the slate; of CSV its first rows, as later ones can only be reached through them."""
    total = len(rows)
    if total <= SAMPLE_ROWS or not rows.files[0].name.lower().endswith((".parquet", ".pq")):
        return next(rows.tables([(0, min(total, SAMPLE_ROWS))]))
    each = SAMPLE_ROWS // SAMPLE_STRETCHES
    starts = np.linspace(0, total - each, SAMPLE_STRETCHES).astype(int).tolist()
    return pa.concat_tables(rows.tables([(start, start + each) for start in starts]))


def _spread(total: int, most: int) -> np.ndarray:
    """At most `most` of `total` places, evenly spaced."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64)) if total else np.empty(0, np.int64)


def _only(frame: Any, requests: Any) -> tuple[Any, Any]:
    """The rows of these requests alone, as a part of their own."""
    return frame.iloc[requests.rows].reset_index(drop=True), replace(requests, rows=np.arange(len(requests.rows)))


def _users_findings(requests: Any) -> list[Told]:
    empty = float(np.mean(requests.lengths == 0)) if len(requests) else 0.0
    if empty <= 0.05:
        return []
    return [("warning", "users", f"{empty:.0%} of the requests see no interaction. Is it the history of these users?")]


def _scarce(job: ScoreJob, estimate: Estimate, found: Diagnosis, *, place: bool) -> None:
    free = _memory()
    if free is not None and estimate.memory > NEAR * free:
        found.tell(
            "warning",
            "memory",
            f"up to {told(estimate.memory)} are needed and {told(free)} are there. Lower memory_budget "
            f"({job.memory_budget}), or prepare the history as a store.",
        )
    disk = Storage.at(job.out).free_bytes() if place else None
    needed = estimate.disk + estimate.work
    if disk is not None and needed > NEAR * disk:
        found.tell(
            "error" if needed > disk else "warning",
            "disk",
            f"about {told(needed)} are needed and {told(disk)} are free. Make room, or write elsewhere.",
        )


def _memory() -> int | None:
    """Bytes that this process may have: what it holds, and what the machine has left."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        return int(lines["MemAvailable"].split()[0]) * 1024 + held
    return None
