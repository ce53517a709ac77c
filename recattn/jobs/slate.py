"""Rows of Parquet or CSV files as one long table, read stretch by stretch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from recattn.errors import ArtifactError, DataError, listed, nearest
from recattn.jobs.storage import Storage, shown
from recattn.schema.names import guess

PARQUET, CSV = (".parquet", ".pq"), (".csv", ".csv.gz", ".tsv", ".tsv.gz")
BATCH = 2**16
READING = (pa.ArrowException, OSError, EOFError, ValueError)


@dataclass(frozen=True)
class RowFile:
    """One file of a table."""

    name: str
    rows: int
    sha256: str
    keys: Mapping[str, str]  # columns that folders named key=value give it


@dataclass(frozen=True)
class Rows:
    """Files of one schema, one after another, with columns under our names."""

    what: str
    storage: Storage
    files: tuple[RowFile, ...]
    schema: Any  # pa.Schema, as the files have it
    names: tuple[str, ...]  # ours, of schema's columns with those of keys
    skipped: Mapping[str, str]  # files that cannot be read -> why

    def __len__(self) -> int:
        return sum(file.rows for file in self.files)

    def digests(self) -> dict[str, str]:
        """sha256 by file."""
        return {file.name: file.sha256 for file in self.files}

    def tables(self, stretches: Sequence[tuple[int, int]], columns: Sequence[str] | None = None) -> Iterator[Any]:
        """A table for each stretch of rows (start, stop); stretches ascend. `columns`: those to read, in this order."""
        source: Iterator[Any] = iter(())
        at, kept = -1, list[Any]()
        for start, stop in stretches:
            if start != at:
                source, at, kept = self._batches(start), start, []
            got = sum(len(table) for table in kept)
            while got < stop - start:
                batch = next(source, None)
                if batch is None:
                    raise DataError(f"{self.what} has fewer rows than when the job was planned. Start anew.")
                kept.append(self._ours(batch))
                got += len(batch)
            table = pa.concat_tables(kept) if kept else self.empty()
            kept, at = [table.slice(stop - start)] if got > stop - start else [], stop
            table = table.slice(0, stop - start)
            yield table if columns is None else table.select(list(columns))

    def empty(self) -> Any:
        """The table without a row."""
        return self._ours(self.schema.empty_table())

    def where(self, row: int) -> str:
        """The file in which a row lies."""
        for file in self.files:
            if row < file.rows:
                return file.name
            row -= file.rows
        return "no file"

    def _batches(self, start: int) -> Iterator[Any]:
        for file in self.files:
            if start >= file.rows:
                start -= file.rows
                continue
            try:
                for batch in read_batches(self.storage, file.name, self.schema, start):
                    table = pa.Table.from_batches([batch]).select(self.schema.names).cast(self.schema)
                    for key, value in file.keys.items():
                        table = table.append_column(key, pa.array([value] * len(table), pa.string()))
                    yield table
            except READING as error:
                raise unreadable(self.what, file.name, error) from error
            start = 0

    def _ours(self, table: Any) -> Any:
        keys = self.files[0].keys if self.files else {}
        for key in keys:
            if key not in table.column_names:
                table = table.append_column(key, pa.array([], pa.string()))
        dropped = [name for name in table.column_names if name.startswith("__index_level_")]
        return (
            table.drop_columns(dropped).rename_columns(list(self.names))
            if dropped
            else (table.rename_columns(list(self.names)))
        )


def open_rows(
    where: str, what: str, columns: Mapping[str, str], *, bad_files: str = "stop", wanted: Sequence[str] = ()
) -> Rows:
    """The files at a path or URI, looked through once: their rows counted, their sha256 taken.

    Raises:
        DataError: Nothing there, files of several kinds or schemas, a file that cannot be read (unless they are to be
            skipped), or no column of a name in `wanted`.
    """
    storage, names = _names(where, what)
    files: list[RowFile] = []
    skipped: dict[str, str] = {}
    schema: Any = None
    for name in names:
        try:
            found = schema_of(storage, name)
            rows = count_rows(storage, name, found if schema is None else schema, whole=bad_files == "skip")
        except READING as error:
            if bad_files != "skip":
                raise unreadable(what, name, error) from error
            skipped[name] = _reason(error)
            continue
        keys = dict(folder.split("=", 1) for folder in name.split("/")[:-1] if "=" in folder)
        keys = {key: value for key, value in keys.items() if key not in found.names}
        if schema is None:
            schema = found
        else:
            _same_schema(what, (files[0].name, schema, files[0].keys), (name, found, keys))
        files.append(RowFile(name, rows, storage.sha256(name), keys))
    if schema is None:
        raise DataError(f"{what}: none of the {len(names):,} files at {shown(where)!r} can be read: {listed(skipped)}.")
    has = [name for name in schema.names if not name.startswith("__index_level_")] + list(files[0].keys)
    ours = {theirs: name for name, theirs in columns.items() if theirs in has}
    for given, name in ours.items():
        if name in has and name not in columns.values():
            raise DataError(
                f"{what} has a column {name!r} already, and columns= asks to take {given!r} for it. Drop one of them."
            )
    renamed = tuple(ours.get(name, name) for name in has)
    for column in wanted:
        if column not in renamed:
            theirs = guess(column, has)
            example = repr(theirs) if theirs else "<its name>"
            raise DataError(
                f"{what} has no column {column!r}; it has {listed(has, 12)}. Rename the one that holds it, or pass "
                f"columns={{{column!r}: {example}}}.{nearest(column, has)}"
            )
    return Rows(what, storage, tuple(files), schema, renamed, skipped)


def read_batches(storage: Storage, name: str, schema: Any, start: int = 0) -> Iterator[Any]:
    """Record batches of a file from row `start` on."""
    if name.lower().endswith(PARQUET):
        with storage.system.open_input_file(storage.path(name)) as source:
            file = parquet.ParquetFile(source, buffer_size=2**20)
            groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            first = 0
            while first < len(groups) and start >= groups[first]:
                start -= groups[first]
                first += 1
            yield from _from(file.iter_batches(BATCH, row_groups=list(range(first, len(groups)))), start)
    else:
        types = None if schema is None else {field.name: field.type for field in schema}
        with storage.system.open_input_stream(storage.path(name), compression="detect") as source:
            yield from _from(_csv(source, name, types), start)


def schema_of(storage: Storage, name: str) -> Any:
    """The Arrow schema of a file, without metadata; that of CSV is read off its first rows."""
    if name.lower().endswith(PARQUET):
        with storage.system.open_input_file(storage.path(name)) as source:
            return parquet.ParquetFile(source).schema_arrow.remove_metadata()
    with storage.system.open_input_stream(storage.path(name), compression="detect") as source:
        found = _csv(source, name, None).schema
    text = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in found]
    return pa.schema(text)


def count_rows(storage: Storage, name: str, schema: Any, *, whole: bool) -> int:
    """The rows of a file; `whole`: all of it is decoded on the way."""
    if name.lower().endswith(PARQUET) and not whole:
        with storage.system.open_input_file(storage.path(name)) as source:
            return parquet.ParquetFile(source).metadata.num_rows
    return sum(len(batch) for batch in read_batches(storage, name, schema))


def unreadable(what: str, name: str, error: Exception) -> DataError:
    """The error for a file that cannot be read."""
    remedy = ", or pass bad_files='skip' to leave it out" if what == "slate" else ""
    return DataError(f"{what}: cannot read {name!r}: {_reason(error)}. Write it again{remedy}.")


def _names(where: str, what: str) -> tuple[Storage, list[str]]:
    storage = Storage.at(where)
    try:
        kind = storage.kind()
        if kind == "file":
            parent, _, name = where.rpartition("/")
            options = name.partition("?")
            place = (
                f"{parent or '.'}{options[1]}{options[2]}"
                if "://" in where
                else parent or ("/" if "/" in where else ".")
            )
            if not options[0].lower().endswith(PARQUET + CSV):
                raise DataError(f"{what}: {options[0]!r} must end in one of {', '.join(PARQUET + CSV)}.")
            return Storage.at(place), [options[0]]
        if kind == "nothing":
            raise DataError(f"{what}: no file or folder {shown(where)!r}.")
        inside = storage.visible()
    except ArtifactError as error:
        raise DataError(f"{what}: {error}") from error
    names = [name for name in inside if name.lower().endswith(PARQUET + CSV)]
    if not names:
        raise DataError(f"{what}: the folder {shown(where)!r} holds no Parquet or CSV file.")
    if len({name.lower().endswith(PARQUET) for name in names}) > 1:
        raise DataError(f"{what}: the folder {shown(where)!r} mixes CSV and Parquet files. Keep one kind.")
    return storage, names


def _same_schema(what: str, first: tuple[str, Any, Any], other: tuple[str, Any, Any]) -> None:
    left, right = (
        {f.name: str(f.type) for f in schema} | dict.fromkeys(keys, "string") for _, schema, keys in (first, other)
    )
    if left == right:
        return
    odd = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    seen = ", ".join(f"{n!r} is {left.get(n, 'missing')} there and {right.get(n, 'missing')} here" for n in odd[:5])
    raise DataError(f"{what}: {other[0]!r} differs from {first[0]!r}: {seen}. Write all files with the same columns.")


def _csv(source: Any, name: str, types: Mapping[str, Any] | None) -> Any:
    return csv.open_csv(
        source,
        parse_options=csv.ParseOptions(delimiter="\t" if ".tsv" in name[-7:].lower() else ",", newlines_in_values=True),
        convert_options=csv.ConvertOptions(strings_can_be_null=True, column_types=types),
    )


def _from(batches: Any, start: int) -> Iterator[Any]:
    for batch in batches:
        if start < len(batch):
            yield batch.slice(start)
        start = max(start - len(batch), 0)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).partition("\n")[0].rstrip(".")


def one_column(where: str, what: str, column: str, columns: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """One column of a small file as an Arrow array, and the digests of the file."""
    rows = open_rows(where, what, columns, wanted=[column])
    [table] = rows.tables([(0, len(rows))], [column])
    return table.column(column).combine_chunks(), rows.digests()
