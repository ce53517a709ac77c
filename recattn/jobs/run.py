"""A batch job from its inputs to the last byte of its result, however often it is started."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from recattn.dataset.frames import NO_HISTORY, UNKNOWN_ITEM
from recattn.errors import ArtifactError, DataError, listed
from recattn.jobs import faults
from recattn.jobs.grouping import Grouped
from recattn.jobs.job import JobResult, ScoreJob
from recattn.jobs.lock import NAME as LOCK
from recattn.jobs.lock import alone
from recattn.jobs.manifest import MANIFEST, OURS, PARTS, RUN, SHARDS, SUCCESS, WORK, Manifest, Part, check_same
from recattn.jobs.pipeline import overlapped
from recattn.jobs.plan import Plan, make_plan
from recattn.jobs.storage import Storage, shown
from recattn.schema.columns import REASON

Progress = Callable[[int, int], None]
ROW_GROUP = 2**17
log = logging.getLogger("recattn")


def run_job(job: ScoreJob, *, progress: Progress | None = None) -> JobResult:
    """Score a slate, or list the best of the catalog, into a folder; or go on where an earlier start was ended.

    The folder holds `parts/part-000000.parquet` and so on, `manifest.json` (what they were made of, their rows and
    sha256), and `_SUCCESS` once all of them are whole. A part counts when the manifest names it.

    Args:
        job: What to do.
        progress: Told of the rows (or requests) done and of all there are, from time to time.

    Raises:
        ArtifactError: The folder holds something else, or the result of other inputs or settings; another process
            works there; the disk refuses.
        DataError: An input breaks a rule; the parts before it are kept.
        ConfigError: Settings that do not fit the model or the machine.
    """
    since = time.perf_counter()
    whole = Storage.at(job.out)
    own = whole if job.shard is None else whole.below(f"{SHARDS}/{job.shard.replace('/', '-of-')}")
    check_place(whole, job)
    with alone(own.local):
        plan = make_plan(job)
        manifest = _begin(plan, whole, own)
        wanted = plan.share()
        manifest = replace(manifest, parts=tuple(part for part in manifest.parts if _is_whole(part, own)))
        kept = len(manifest.parts)
        if own.kind(SUCCESS) == "file" and kept == len(manifest.parts) == len(wanted):
            log.info("%s is finished already: nothing is left to do", shown(job.out))
            return _result(job, manifest, kept, since, finished_before=True)
        if kept:
            log.info("%s of %s parts are whole; going on", f"{kept:,}", f"{len(wanted):,}")
        own.delete(SUCCESS)
        manifest.save(own)
        writer = _Writer(own, manifest, [number for number in wanted if number not in _numbers(manifest)])
        work_folder = None if own.local is None else own.local / WORK
        _work(plan, writer, progress or (lambda done, total: None), work_folder)
        manifest = writer.manifest
        _tell(manifest, plan)
        facts = {"host": socket.gethostname(), "seconds": round(time.perf_counter() - since, 3), "kept_parts": kept}
        own.replace(RUN, json.dumps(facts).encode())
        faults.reach("before_success")
        own.replace(SUCCESS, b"")
        return _result(job, manifest, kept, since)


def check_place(whole: Storage, job: ScoreJob) -> None:
    """ArtifactError where the output folder is a file, or holds what no job has written."""
    place = shown(job.out)
    if whole.kind() == "file":
        raise ArtifactError(f"{place} is a file. Name a folder.")
    names = whole.names()
    foreign = [name for name in names if name not in OURS and name != LOCK and not name.startswith(".")]
    if foreign and MANIFEST not in names:
        raise ArtifactError(f"{place} holds other files ({listed(foreign, 3)}). Name a folder of its own for the job.")
    if job.shard is None and SHARDS in names and MANIFEST not in names and not job.overwrite:
        raise ArtifactError(
            f"{place} holds shards of a job. Publish them, name another folder, or pass overwrite=True to begin anew."
        )


def _begin(plan: Plan, whole: Storage, own: Storage) -> Manifest:
    """The manifest to go on from; of the plan alone where there is nothing, or all is to begin anew."""
    job, planned = plan.engine.job, plan.manifest
    if job.overwrite:
        if job.shard is not None:
            whole.delete(SUCCESS, MANIFEST)
        own.delete(*OURS)
        return planned
    if job.shard is not None:
        published = Manifest.load(whole)
        if published is not None:
            check_same(published, planned, job.out)
            if not any(part.path.startswith(SHARDS) for part in published.parts):
                raise ArtifactError(f"{shown(job.out)} holds the result of a job without shards. Name another folder.")
    found = Manifest.load(own)
    if found is None:
        return planned
    check_same(found, planned, job.out)
    [here] = planned.made_by
    if here not in found.made_by:
        log.warning(
            "the parts so far were made by %s and the rest will be by %s: scores agree to 1e-5, not bit by bit",
            json.dumps(found.made_by[-1]),
            json.dumps(here),
        )
        found = replace(found, made_by=(*found.made_by, here))
    return found


def _work(plan: Plan, writer: _Writer, progress: Progress, work_folder: Path | None) -> None:
    """Make the parts that are missing."""
    cut = plan.stretches
    todo = [cut[number] for number in writer.missing]
    share = [cut[number] for number in plan.share()]
    total = sum(stop - start for start, stop in share)
    writer.progress, writer.total = progress, total
    writer.done = total - sum(stop - start for start, stop in todo)
    progress(writer.done, total)
    if not todo:
        return
    engine, told = plan.engine, [False]

    def tell(requests: Any) -> None:
        if not told[0]:
            told[0] = True
            engine.tell(requests)

    if plan.engine.job.slate is None:
        types = plan.id_types()

        def users() -> Iterator[tuple[int, Any]]:
            tables = iter(()) if plan.rows is None else plan.rows.tables(todo)
            for number, (start, stop) in zip(writer.missing, todo, strict=True):
                with _rows_from(plan, start):
                    requests, _ = engine.users(start, stop, None if plan.rows is None else next(tables))
                tell(requests)
                yield number, requests

        overlapped(users(), lambda item: (item[0], *engine.recommend(item[1], types)), lambda r: writer.write(*r))
        return
    assert plan.rows is not None
    if plan.grouped:
        _work_grouped(plan, writer, work_folder, tell)
        return

    def parts() -> Iterator[tuple[int, Any, Any]]:
        assert plan.rows is not None
        for number, (start, _), table in zip(writer.missing, todo, plan.rows.tables(todo), strict=True):
            with _rows_from(plan, start):
                frame, requests = engine.slate(table)
            tell(requests)
            yield number, table, (frame, requests)

    def score(item: tuple[int, Any, Any]) -> tuple[int, Any, dict[str, int]]:
        number, table, asked = item
        return number, *_beside(table, engine.score(*asked))

    overlapped(parts(), score, lambda result: writer.write(*result))


def _work_grouped(plan: Plan, writer: _Writer, work_folder: Path | None, tell: Callable[[Any], None]) -> None:
    assert plan.rows is not None
    engine, cut, share = plan.engine, plan.stretches, plan.share()
    with tempfile.TemporaryDirectory() as spare:
        folder = work_folder or Path(spare) / WORK
        about = f"{plan.manifest.digest} {engine.job.shard} {json.dumps(plan.manifest.made_by)}"
        grouped = Grouped(folder, about, plan.rows, [cut[number] for number in share])
        with _disk(folder):
            grouped.spill(engine.slate_columns(list(plan.rows.names)), plan.keys())
            progress, writer.progress = writer.progress, lambda done, total: None
            done = [0]

            def told(rows: int) -> None:
                done[0] += rows
                progress(done[0], writer.total)

            def prepare(table: Any) -> Any:
                frame, requests = engine.slate(table)
                tell(requests)
                return frame, requests

            grouped.score(prepare, lambda asked: engine.score(*asked), told)

        def parts() -> Iterator[tuple[int, Any, dict[str, int]]]:
            assert plan.rows is not None
            stretches = [cut[number] for number in writer.missing]
            for number, table in zip(writer.missing, plan.rows.tables(stretches), strict=True):
                yield number, *_beside(table, grouped.columns(number - share.start))

        overlapped(parts(), lambda part: part, lambda part: writer.write(*part))
        grouped.close()


class _Writer:
    """Writes parts, each then named by the manifest."""

    def __init__(self, storage: Storage, manifest: Manifest, missing: list[int]) -> None:
        self.storage, self.manifest, self.missing = storage, manifest, missing
        self.progress: Progress = lambda done, total: None
        self.done = self.total = 0
        plan = manifest.identity["plan"]
        self.size, self.rows = plan["rows_a_part"], plan["rows"]

    def write(self, number: int, table: Any, reasons: dict[str, int]) -> None:
        """Write one part and commit it."""
        data = encode(table)
        path = f"{PARTS}/part-{number:06}.parquet"
        start, stop = number * self.size, min((number + 1) * self.size, self.rows)
        part = Part(number, path, start, stop, len(table), len(data), hashlib.sha256(data).hexdigest(), reasons)
        try:
            self.storage.put(path, data, number=number)
            faults.reach("after_part_write", number)
            manifest = self.manifest.with_part(part)
            manifest.save(self.storage, number=number)
        except ArtifactError as error:
            whole = len(self.manifest.parts)
            raise ArtifactError(f"{error} {whole:,} parts are whole; start again to go on.") from error
        self.manifest = manifest
        faults.reach("after_manifest", number)
        self.done += stop - start
        self.progress(self.done, self.total)


def encode(table: Any) -> memoryview:
    """A table as Parquet: the same bytes for the same values."""
    sink = pa.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata(None), sink, row_group_size=ROW_GROUP, compression="zstd")
    return memoryview(sink.getvalue())


def _beside(table: Any, columns: dict[str, Any]) -> tuple[Any, dict[str, int]]:
    """A part of the slate with its result, and the rows of each reason."""
    for name, values in columns.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    counted = columns[REASON].value_counts().to_pylist()
    return table, {entry["values"]: entry["counts"] for entry in counted if entry["values"] is not None}


def _numbers(manifest: Manifest) -> set[int]:
    return {part.number for part in manifest.parts}


def _is_whole(part: Part, storage: Storage) -> bool:
    try:
        if storage.sha256(part.path) == part.sha256:
            return True
    except OSError:
        pass
    log.warning("%s is missing or damaged: it is made again", shown(storage.path(part.path)))
    return False


def _tell(manifest: Manifest, plan: Plan) -> None:
    reasons, rows = manifest.reasons, manifest.rows
    for reason, count in reasons.items():
        log.info("%s rows: %s", f"{count:,}", reason)
    if rows and reasons.get(UNKNOWN_ITEM) == rows:
        log.warning("no row has a score: the model knows none of the items. Is it the model of this catalog?")
    if rows and plan.engine.job.slate is not None and reasons.get(NO_HISTORY) == rows:
        log.warning("no row has a history: the history holds nobody of the slate before the moments asked about.")


def _result(job: ScoreJob, manifest: Manifest, kept: int, since: float, *, finished_before: bool = False) -> JobResult:
    return JobResult(
        out=job.out,
        rows=manifest.rows,
        parts=len(manifest.parts),
        kept=kept,
        reasons=manifest.reasons,
        seconds=time.perf_counter() - since,
        finished_before=finished_before,
    )


class _rows_from:
    """Tells where in the input a DataError arose, inside the block."""

    def __init__(self, plan: Plan, row: int) -> None:
        self.plan, self.row = plan, row

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DataError) and self.plan.rows is not None:
            where = self.plan.rows.where(self.row)
            raise DataError(f"{error} (Rows counted from row {self.row:,} of all, in {where!r}.)") from error


class _disk:
    """Tells of a disk that refuses the files of grouping, inside the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise ArtifactError(
                f"rows cannot be grouped in {self.folder}: {error.strerror or error}. Make room, or pass "
                "grouping='rows'."
            ) from error
