"""An interaction log read piece by piece, each piece checked as the whole would be."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recattn.config import Time
from recattn.errors import DataError, listed
from recattn.schema import DataWarning, check_time, read_frame
from recattn.schema.columns import EVENT, ITEM, TIME, USER, WEIGHT
from recattn.schema.interactions import WHAT, check_rows, keep_rows
from recattn.schema.list_columns import explode_table, is_list, to_series
from recattn.schema.names import rename, require
from recattn.schema.read import folder_keys, is_parquet, own_copy, part_paths
from recattn.schema.rows import BadRowPolicy, Fault, check_policy, settle
from recattn.schema.times import Unit, check_unit

RATING = "rating"


@dataclass(frozen=True)
class LogForm:
    """How a log is to be read; see `recattn.schema.read_interactions`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    unit: Unit = "s"
    time: Time = "timestamp"
    now: Any = None
    bad_rows: BadRowPolicy = "error"
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_time(self.time)
        check_unit(self.unit)
        check_policy(self.bad_rows)


@dataclass(frozen=True)
class Source:
    """A file (or a frame) that interactions come from."""

    name: str
    sha256: str


class FrameLog:
    """A log in memory: a DataFrame, or CSV. It is one piece."""

    def __init__(self, data: pd.DataFrame | str | Path, form: LogForm) -> None:
        self.form, self._frame = form, own_copy(read_frame(data, WHAT))
        self._paths = [] if isinstance(data, pd.DataFrame) else part_paths(data, WHAT)
        _wanted(list(self._frame.columns), form)
        self.rows, self.text_columns, self.time_type = len(self._frame), 0, None

    def sources(self) -> list[Source]:
        """What it is made of; none where a frame cannot be put into bytes."""
        if self._paths:
            return [_file_source(path) for path in self._paths]
        sink = _Digest()
        try:
            table = pa.Table.from_pandas(self._frame, preserve_index=False)
            with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as stream:
                stream.write_table(table)
        except (pa.ArrowException, TypeError):
            return []
        return [Source("a frame", sink.state.hexdigest())]

    def pieces(self, most: int) -> Iterator[pd.DataFrame]:
        """Checked frames (`check_rows`), whatever `most` is."""
        return _checked(iter([("", self._frame)]), self.form)


class ParquetLog:
    """A log in Parquet files, with one row an interaction, or with one row a user and list columns."""

    def __init__(self, data: str | Path, form: LogForm) -> None:
        self.form, self._paths = form, part_paths(data, WHAT)
        self._root = Path(data) if Path(data).is_dir() else Path(data).parent
        schemas = [_schema(path) for path in self._paths]
        keys = folder_keys(self._paths[0].relative_to(self._root))
        self._columns = _wanted([*schemas[0].names, *(key for key in keys if key not in schemas[0].names)], form)
        self._in_file = [name for name in self._columns if name in schemas[0].names]
        mapping = dict(form.columns)
        strict = {mapping.get(name, name) for name in (USER, ITEM, *form.extras)}
        _check_alike(self._paths, schemas, self._in_file, strict)
        self._telling = [mapping.get(name, name) for name in (ITEM, TIME) if mapping.get(name, name) in self._in_file]
        self._values = [self._count(path) for path in self._paths]
        self.rows = sum(self._values)
        moments = {_family(schema.field(name).type) for schema in schemas for name in self._telling[1:]}
        whole = all(kind.endswith(("a whole number", "a date")) for kind in moments)
        self.time_type = np.dtype(np.int64 if whole else np.float64) if form.time == "order" else None  # to sort by
        self.text_columns = sum(_family(schemas[0].field(name).type) == "text" for name in self._in_file)

    def sources(self) -> list[Source]:
        """Its files."""
        return [_file_source(path) for path in self._paths]

    def pieces(self, most: int) -> Iterator[pd.DataFrame]:
        """Checked frames (`check_rows`) of some `most` interactions, in the order of the log."""
        return _checked(self._raw(most), self.form)

    def _raw(self, most: int) -> Iterator[tuple[str, pd.DataFrame]]:
        for path, values in zip(self._paths, self._values, strict=True):
            part = str(path.relative_to(self._root))
            keys = {key: value for key, value in folder_keys(Path(part)).items() if key in self._columns}
            row = seen = 0
            try:
                # buffered and unread ahead: a row group of any size passes through in small pieces
                with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
                    each = max(1, values // max(1, file.metadata.num_rows))
                    for batch in file.iter_batches(max(1, most // each), columns=self._in_file, use_threads=False):
                        table = explode_table(pa.Table.from_batches([batch]), self._telling, f"{WHAT} ({part})", row)
                        frame = pd.DataFrame({name: to_series(table.column(name)) for name in self._in_file})
                        yield f"{part}, rows from {seen:,} on", frame.assign(**keys)
                        row, seen = row + batch.num_rows, seen + len(frame)
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(path, error) from error

    def _count(self, path: Path) -> int:
        about = pq.read_metadata(path)
        leaf = next(
            place
            for place in range(about.num_columns)
            if about.schema.column(place).path.split(".")[0] == self._telling[0]
        )
        return sum(about.row_group(group).column(leaf).num_values for group in range(about.num_row_groups))


def open_log_parts(data: pd.DataFrame | str | Path, form: LogForm) -> FrameLog | ParquetLog:
    """The log, its columns found and its parts compared, before any of it is read.

    Raises:
        DataError: No such file, a part that is no Parquet, a missing column, or parts that differ.
    """
    if isinstance(data, str | Path) and is_parquet(part_paths(data, WHAT)[0]):
        return ParquetLog(data, form)
    return FrameLog(data, form)


def _wanted(names: Sequence[str], form: LogForm) -> list[str]:
    """The columns to read, as the log calls them; DataError where one is missing."""
    ours = rename(pd.DataFrame(columns=pd.Index(names)), form.columns, WHAT)
    require(ours, [USER, ITEM, *([TIME] if form.time == "timestamp" else [])], WHAT)
    missing = [name for name in form.extras if name not in ours]
    if missing:
        raise DataError(f"interactions has no column {missing[0]!r}; it has {listed(ours.columns, 12)}.")
    kept = {USER, ITEM, TIME, EVENT, WEIGHT, *form.extras}
    if WEIGHT not in ours:
        kept.add(RATING)
    return [theirs for theirs, name in zip(names, ours.columns, strict=True) if name in kept]


def _checked(raw: Iterator[tuple[str, pd.DataFrame]], form: LogForm) -> Iterator[pd.DataFrame]:
    total, bad, reasons, found = 0, 0, Counter[str](), False
    for where, piece in raw:
        if not len(piece):
            continue
        try:
            frame, faults = check_rows(piece, columns=form.columns, unit=form.unit, time=form.time, now=form.now)
            keep = settle(WHAT, faults, "error") if form.bad_rows == "error" else _tally(faults, reasons)
        except DataError as error:
            if not where:
                raise
            raise DataError(f"{where}: {error}") from error
        total += len(frame)
        frame = keep_rows(frame, keep)
        bad += len(keep) - len(frame) if keep is not None else 0
        if len(frame):
            found = True
            yield frame
    described = "; ".join(f"{count:,} with {reason}" for reason, count in reasons.items())
    if not found:
        raise DataError(f"{WHAT} has no usable row: {described}." if total else f"{WHAT} is empty: it has no row.")
    if bad:
        warnings.warn(f"{WHAT}: {bad:,} of {total:,} rows left out: {described}.", DataWarning, stacklevel=3)


def _tally(faults: Sequence[Fault], reasons: Counter[str]) -> np.ndarray | None:
    for fault in faults:
        if fault.mask.any():
            reasons[fault.reason] += int(fault.mask.sum())
    bad = np.logical_or.reduce([fault.mask for fault in faults])
    return ~bad if bad.any() else None


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{WHAT}: cannot read {str(path)!r}: {reason} Write that part again, or take it away.")


def _check_alike(paths: Sequence[Path], schemas: Sequence[pa.Schema], columns: Sequence[str], strict: set[str]) -> None:
    first = {name: _family(schemas[0].field(name).type) for name in columns}
    optional = {EVENT, TIME, WEIGHT, *({RATING} if WEIGHT not in first else ())}
    for path, schema in zip(paths, schemas, strict=True):
        lost = [name for name in columns if name not in schema.names]
        more = [name for name in optional if name in schema.names and name not in schemas[0].names]
        if lost or more:
            name = (lost or more)[0]
            with_it, without = (paths[0], path) if lost else (path, paths[0])
            raise DataError(
                f"{WHAT}: the parts differ: {with_it.name!r} has a column {name!r}, {without.name!r} has none; it has "
                f"{listed((schema if lost else schemas[0]).names, 12)}. Write all parts alike."
            )
        for name, family in first.items():
            kind = _family(schema.field(name).type)
            alike = {kind, family} == {"a number", "a whole number"} or "nothing" in (kind, family)
            if kind != family and (name in strict or not alike):
                raise DataError(
                    f"{WHAT}: the parts differ: {name!r} is {family} ({schemas[0].field(name).type}) in "
                    f"{paths[0].name!r} but {kind} ({schema.field(name).type}) in {path.name!r}. Write all parts alike."
                )


def _family(kind: pa.DataType) -> str:
    if is_list(kind):
        return f"a list of {_family(kind.value_type)}"
    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_integer(kind):
        return "a whole number"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "a number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "a date"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    return str(kind)


def _file_source(path: Path) -> Source:
    try:
        with path.open("rb") as file:
            return Source(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise _unreadable(path, error) from error


class _Digest(io.RawIOBase):
    """A file that keeps nothing but the sha256 of what was written."""

    def __init__(self) -> None:
        self.state = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.state.update(data)
        return len(memoryview(data).cast("B"))
