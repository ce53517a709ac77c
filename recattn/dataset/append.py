"""Stores from logs that need not fit into memory, and stores that grow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from recattn.config import Time
from recattn.dataset.build import Known, build_segment
from recattn.dataset.codes import Codes
from recattn.dataset.compact import clean, new_folder, open_segments
from recattn.dataset.log_parts import FrameLog, LogForm, ParquetLog, Source, open_log_parts
from recattn.dataset.manifest import SEGMENTS, Manifest, locked, read_manifest, write_manifest
from recattn.dataset.memory import budget_bytes
from recattn.dataset.segment import USERS
from recattn.dataset.store_files import first_generation, write_folder
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError, DataError
from recattn.schema.columns import EVENT, ITEM
from recattn.schema.rows import BadRowPolicy
from recattn.schema.times import Unit

Data = pd.DataFrame | str | Path


def build_store(
    data: Data,
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    time: Time = "timestamp",
    now: Any = None,
    bad_rows: BadRowPolicy = "error",
    extras: Sequence[str] = (),
    items: Vocabulary | None = None,
    memory_budget: str | int = "1GB",
    overwrite: bool = False,
    partitions: int | None = None,
) -> Manifest:
    """Write the store of a log: a frame, CSV, Parquet, a folder of such files, also one row a user in list columns.

    Parquet may be larger than memory: it is read piece by piece, partitioned by a hash of the user into files beside
    the store, and sorted one partition at a time. Users then come partition by partition; the history of each is that
    of `HistoryStore.from_frame`. Memory holds the item ids, one partition and one piece, whatever the number of rows.

    Args:
        data: The log.
        path: The folder to write.
        columns, unit, time, now, bad_rows: As in `recattn.schema.read_interactions`.
        extras: Further columns to keep.
        items: The items to keep; by default all of the log, in order of first appearance.
        memory_budget: What the work may take beside the item ids; the user ids of a store are read when it is opened.
        overwrite: Whether to replace the folder.
        partitions: How many, by default as the budget asks.

    Raises:
        DataError: As in `read_interactions`; an unreadable part, parts that differ, lists of unlike length.
        ArtifactError: The folder exists, or cannot be written; what was there is kept.
    """
    budget = budget_bytes(memory_budget)
    log = open_log_parts(data, LogForm(columns or {}, unit, time, now, bad_rows, tuple(extras)))
    made: list[Manifest] = []

    def write(folder: Path) -> None:
        segment = folder / SEGMENTS / "000000"
        segment.mkdir(parents=True)
        codes = Codes(ITEM) if items is None else Codes(ITEM, items.ids, fixed=True)
        known = Known(codes, Codes(EVENT))
        about = build_segment(log, segment, known, budget=budget, partitions=partitions)
        step = _step("000000", about, log.sources())
        (items or known.items.vocabulary()).save(folder / "items.parquet")
        behaviours = "behaviours.parquet" if "behaviours" in about["columns"] else None
        if behaviours:
            known.behaviours.vocabulary().save(folder / behaviours)
        about |= first_generation(known.items, known.behaviours)
        made.append(Manifest(time, {"000000": about}, "items.parquet", behaviours, about["high_water"], [step]))
        write_manifest(folder, made[0])

    write_folder(path, write, overwrite=overwrite, what="history store")
    return made[0]


def append_store(
    path: Path,
    data: Data,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    now: Any = None,
    bad_rows: BadRowPolicy = "error",
    memory_budget: str | int = "1GB",
    again: bool = False,
    partitions: int | None = None,
) -> Manifest:
    """Add the interactions of a log to a store, as a segment beside those it has, which are not touched.

    Interactions older than what the store has are counted (`late`) and sorted to their place when it is opened;
    simultaneous ones come after. Order-only logs come after what a user has. New users, items and behaviours are
    added; items keep their codes. Killed at any moment it leaves the store as it was.

    Args:
        path: The store.
        data: The log, in any form `build_store` reads.
        columns, unit, now, bad_rows, memory_budget, partitions: As there.
        again: Whether to take a file that went into the store before.

    Raises:
        DataError: As in `build_store`; ids of another kind than the store's, or a file that went in before.
        ArtifactError: No store, one of a newer format, or a folder that cannot be written to.
    """
    budget = budget_bytes(memory_budget)
    path = Path(path).absolute()
    before = read_manifest(path)
    extras = tuple(next(iter(before.segments.values()))["extras"])
    log = open_log_parts(data, LogForm(columns or {}, unit, before.time, now, bad_rows, extras))
    sources = log.sources()
    with _writing(path), locked(path):
        before = read_manifest(path)
        if not again:
            _check_new(before, sources, path)
        clean(path, before)
        return _add(path, before, log, sources, budget, partitions)


def _add(
    path: Path,
    before: Manifest,
    log: FrameLog | ParquetLog,
    sources: Sequence[Source],
    budget: int,
    partitions: int | None,
) -> Manifest:
    name, generation = before.next_segment, before.generation + 1
    known = _known(path, before)
    counts = len(known.items), len(known.behaviours)
    folder = new_folder(path, name)
    try:
        about = build_segment(log, folder, known, budget=budget, partitions=partitions)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    folder.rename(path / SEGMENTS / name)
    about |= {"first": generation, "last": generation, "items": len(known.items), "behaviours": len(known.behaviours)}
    moments = [moment for moment in (known.high_water, about["high_water"]) if moment is not None]
    after = replace(
        before,
        segments=before.segments | {name: about},
        items=_grown(path, before.items, known.items, counts[0], name) or before.items,
        behaviours=_grown(path, before.behaviours, known.behaviours, counts[1], name),
        high_water=max(moments, default=None),
        generations=[*before.generations, _step(name, about, sources)],
    )
    write_manifest(path, after)
    return after


def _known(path: Path, manifest: Manifest) -> Known:
    """The codes of a store, a user of it, its latest moment."""
    events = () if manifest.behaviours is None else Vocabulary.load(path / manifest.behaviours).ids
    high_water = manifest.high_water
    if high_water is None and manifest.time == "timestamp":  # a store of format 1
        ends = [store.end for store in open_segments(path, manifest)]
        high_water = max((end - 1 for end in ends if end is not None), default=None)
    with pq.ParquetFile(
        path / SEGMENTS / next(iter(manifest.segments)) / USERS, pre_buffer=False, buffer_size=2**20
    ) as file:
        users = next((batch.column(0).to_pandas() for batch in file.iter_batches(1)), pd.Series([], dtype=object))
    return Known(Codes(ITEM, Vocabulary.load(path / manifest.items).ids), Codes(EVENT, events), users, high_water)


def _grown(path: Path, name: str | None, codes: Codes, before: int, segment: str) -> str | None:
    """The file that holds the vocabulary: a new one where it has grown, as the one there is still read."""
    if len(codes) == before:
        return name
    kind = "items" if codes.name == ITEM else "behaviours"
    file = path / f"{kind}-{segment}.parquet"
    codes.vocabulary().save(file)
    with file.open("rb") as saved:
        os.fsync(saved.fileno())
    return file.name


def _check_new(manifest: Manifest, sources: Sequence[Source], path: Path) -> None:
    for source in sources:
        if source.sha256 in manifest.sources:
            raise DataError(
                f"{source.name} is in {path} already: it went in as {manifest.sources[source.sha256]!r} (the same "
                "sha256). Pass again=True to take it twice."
            )


def _step(segment: str, about: dict[str, Any], sources: Sequence[Source]) -> dict[str, Any]:
    """What the manifest keeps about one log that went in."""
    late = about.pop("late")
    return {
        "segment": segment,
        "rows": about["interactions"] + about["dropped"],
        "late": late,
        "sources": [asdict(source) for source in sources],
    }


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"nothing could be appended to {path}: {error.strerror or error}. What was there is kept."
        ) from error
