"""The parts of a job: read, scored, written, committed."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from recattn.dataset.profile import Profile
from recattn.errors import ArtifactError, DataError
from recattn.jobs import events, faults
from recattn.jobs.engine import WATCHED
from recattn.jobs.facts import facts_of_part
from recattn.jobs.grouping import Grouped
from recattn.jobs.manifest import PARTS, WORK, Manifest, Part
from recattn.jobs.pipeline import overlapped
from recattn.jobs.plan import Plan
from recattn.jobs.storage import Storage
from recattn.schema.columns import REASON, SCORE

Progress = Callable[[int, int], None]
Made = tuple[int, Any, dict[str, int], dict[str, Any]]  # number, table, rows of each reason, facts
ROW_GROUP = 2**17


def make_parts(plan: Plan, writer: Writer, progress: Progress, work_folder: Path | None) -> None:
    """Make the parts that are missing."""
    cut = plan.stretches
    todo = [cut[number] for number in writer.missing]
    share = [cut[number] for number in plan.share()]
    total = sum(stop - start for start, stop in share)
    writer.progress, writer.total = progress, total
    writer.done = total - sum(stop - start for start, stop in todo)
    writer.begin = time.perf_counter(), writer.done
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

    def score(item: tuple[int, Any, Any]) -> Made:
        number, table, asked = item
        return number, *_beside(table, engine.score(*asked), engine.model.profile)

    overlapped(parts(), score, lambda result: writer.write(*result))


def _work_grouped(plan: Plan, writer: Writer, work_folder: Path | None, tell: Callable[[Any], None]) -> None:
    assert plan.rows is not None
    engine, cut, share = plan.engine, plan.stretches, plan.share()
    with tempfile.TemporaryDirectory() as spare:
        folder = work_folder or Path(spare) / WORK
        about = f"{plan.manifest.digest} {engine.job.shard} {json.dumps(plan.manifest.made_by)} {WATCHED}"
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

        def parts() -> Iterator[Made]:
            assert plan.rows is not None
            stretches = [cut[number] for number in writer.missing]
            for number, table in zip(writer.missing, plan.rows.tables(stretches), strict=True):
                yield number, *_beside(table, grouped.columns(number - share.start), engine.model.profile)

        overlapped(parts(), lambda part: part, lambda part: writer.write(*part))
        grouped.close()


class Writer:
    """Writes parts, each then named by the manifest."""

    def __init__(self, storage: Storage, manifest: Manifest, missing: list[int]) -> None:
        self.storage, self.manifest, self.missing = storage, manifest, missing
        self.progress: Progress = lambda done, total: None
        self.done = self.total = 0
        self.begin = time.perf_counter(), 0  # when, and what was done then
        plan = manifest.identity["plan"]
        self.size, self.rows = plan["rows_a_part"], plan["rows"]

    def write(self, number: int, table: Any, reasons: dict[str, int], facts: dict[str, Any]) -> None:
        """Write one part and commit it."""
        data = encode(table)
        path = f"{PARTS}/part-{number:06}.parquet"
        start, stop = number * self.size, min((number + 1) * self.size, self.rows)
        part = Part(number, path, start, stop, len(table), len(data), hashlib.sha256(data).hexdigest(), reasons, facts)
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
        since, before = self.begin
        events.tell(
            "part",
            f"{path} is whole",
            part=number,
            rows=len(table),
            bytes=len(data),
            done=self.done,
            total=self.total,
            **events.pace(self.done, before, self.total, time.perf_counter() - since),
        )
        self.progress(self.done, self.total)


def encode(table: Any) -> memoryview:
    """A table as Parquet: the same bytes for the same values."""
    sink = pa.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata(None), sink, row_group_size=ROW_GROUP, compression="zstd")
    return memoryview(sink.getvalue())


def _beside(table: Any, columns: dict[str, Any], profile: Profile | None) -> tuple[Any, dict[str, int], dict[str, Any]]:
    """A part of the slate with its result, the rows of each reason, and facts."""
    lengths, best = (columns.pop(name).to_numpy(zero_copy_only=False) for name in WATCHED)
    scores = columns[SCORE].to_numpy(zero_copy_only=False)
    facts = facts_of_part(lengths[lengths >= 0], best[lengths >= 0], scores, profile)
    for name, values in columns.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    counted = columns[REASON].value_counts().to_pylist()
    return table, {entry["values"]: entry["counts"] for entry in counted if entry["values"] is not None}, facts


@contextmanager
def _rows_from(plan: Plan, row: int) -> Iterator[None]:
    """Tells where in the input a DataError arose, inside the block."""
    try:
        yield
    except DataError as error:
        if plan.rows is None:
            raise
        where = plan.rows.where(row)
        raise DataError(f"{error} (Rows counted from row {row:,} of all, in {where!r}.)") from error


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Tells of a disk that refuses the files of grouping, inside the block."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"rows cannot be grouped in {folder}: {error.strerror or error}. Make room, or pass grouping='rows'."
        ) from error
