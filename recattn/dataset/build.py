"""A segment from a log of any size: partitioned by user on disk, then sorted one partition at a time."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recattn.dataset.codes import Codes
from recattn.dataset.history import HistoryStore
from recattn.dataset.log_parts import FrameLog, ParquetLog
from recattn.dataset.segment import SegmentWriter, mixed_extra
from recattn.dataset.spill import Spill, partition_of
from recattn.dataset.vocabulary import Vocabulary, arrow_ids, plain
from recattn.errors import DataError
from recattn.schema import check_same_kind
from recattn.schema.columns import EVENT, ITEM, TIME, USER, WEIGHT

SMALLEST_PIECE, LARGEST_PIECE = 1_000, 2**18  # rows
PIECE_BYTES = 400  # a row of a piece: as read, as checked, as spilled
ROW_BYTES, TEXT_BYTES = 120, 60  # a row of a partition while it is sorted, and each column of text in it
MOST_FILES = 200  # open at a time
KINDS = np.iinfo(np.int8).max


@dataclass
class Known:
    """What a segment is built in: the codes, which grow; ids of the store for comparison; its latest moment."""

    items: Codes
    behaviours: Codes
    users: pd.Series = field(default_factory=lambda: pd.Series([], dtype=object))  # a few, to compare kinds with
    high_water: int | None = None


@dataclass
class _Extra:
    """What a column of extras turns out to hold."""

    kind: pa.DataType
    nulls: bool = False
    width: int = 1

    def dtype(self, name: str) -> np.dtype:
        if pa.types.is_string(self.kind) and not self.nulls:
            return np.dtype(f"<U{self.width}")
        if pa.types.is_integer(self.kind) and self.nulls:
            return np.dtype(np.float64)
        plain_kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp)
        whole = pa.types.is_boolean(self.kind) and not self.nulls
        if (not whole and not any(test(self.kind) for test in plain_kinds)) or getattr(self.kind, "tz", None):
            raise mixed_extra(name)
        return np.dtype(self.kind.to_pandas_dtype())


def build_segment(
    log: FrameLog | ParquetLog, folder: Path, known: Known, *, budget: int, partitions: int | None = None
) -> dict[str, Any]:
    """Write the interactions of `log` as a segment, in memory of about `budget` bytes beside the codes.

    Users are in order of first appearance within their partition; one partition gives what
    `HistoryStore.from_frame` gives.

    Args:
        log: Where they come from.
        folder: An empty folder.
        known: The codes to write in; new ids are added to them.
        budget: What sorting may take, whatever the number of rows.
        partitions: How many, by default as the budget asks.

    Returns:
        What the manifest keeps: counts, columns, `late` (rows before the latest moment of the store).
    """
    share = budget // 2
    if partitions is None:
        partitions = min(MOST_FILES, math.ceil(log.rows * (ROW_BYTES + TEXT_BYTES * log.text_columns) / share) or 1)
    work = folder / "spill"
    rows = _Rows(known, log)
    spill: Spill | None = None
    try:
        for frame in log.pieces(max(SMALLEST_PIECE, min(LARGEST_PIECE, budget // (16 * PIECE_BYTES)))):
            table, users = rows.table(frame)
            spill = spill or Spill(work, partitions, table.schema)
            spill.add(table.cast(spill.schema), partition_of(users, partitions))
        assert spill is not None  # an empty log has raised
        spill.close()
        writer = SegmentWriter(folder, {name: extra.dtype(name) for name, extra in rows.extras.items()})
        for table in _in_shares(spill, share, rows.text_width, depth=1):
            writer.add(rows.block(table))
            pa.default_memory_pool().release_unused()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return writer.close() | {"late": rows.late}


class _Rows:
    """From checked frames to rows in codes, from the rows of a partition to a block of histories."""

    def __init__(self, known: Known, log: FrameLog | ParquetLog) -> None:
        self.known, self.time, self.late, self.unknown = known, log.form.time, 0, 0
        self.extras: dict[str, _Extra] = {}
        self._names, self._time_type = log.form.extras, log.time_type

    @property
    def text_width(self) -> int:
        """Characters of all text columns among the extras."""
        return sum(extra.width for extra in self.extras.values() if pa.types.is_string(extra.kind))

    def table(self, frame: pd.DataFrame) -> tuple[pa.Table, np.ndarray]:
        """A checked frame in codes, with its user ids."""
        users = plain(frame[USER])
        if not len(self.known.users):
            self.known.users = frame[USER].head(1)
        check_same_kind(frame[USER], "the new interactions", self.known.users, "those before", USER)
        if len(self.known.items):
            check_same_kind(frame[ITEM], "the new interactions", self.known.items.sample(), "those before", ITEM)
        items = self.known.items.encode(frame[ITEM])
        self.unknown += int((items == 0).sum())
        times = frame[TIME].to_numpy()
        if self.time == "timestamp" and self.known.high_water is not None:
            self.late += int((times < self.known.high_water).sum())
        if self._time_type is not None:
            times = times.astype(self._time_type)
        columns = {USER: arrow_ids(USER, users), ITEM: pa.array(items), TIME: pa.array(times)}
        if EVENT in frame:
            events = self.known.behaviours.encode(frame[EVENT])
            if len(self.known.behaviours) > KINDS:
                raise DataError(
                    f"interactions has {len(self.known.behaviours)} kinds of event_type; at most {KINDS} are supported."
                )
            columns[EVENT] = pa.array(events.astype(np.int8))
        if WEIGHT in frame:
            columns[WEIGHT] = pa.array(frame[WEIGHT].to_numpy(np.float32))
        for name in self._names:
            columns[f"extra {name}"] = self._extra(name, frame[name])
        return pa.table(columns), users

    def _extra(self, name: str, series: pd.Series) -> pa.Array:
        try:
            values = pa.array(series, from_pandas=True)
            values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
            if pa.types.is_dictionary(values.type):
                values = values.dictionary_decode()
            if pa.types.is_null(values.type) or pa.types.is_large_string(values.type):
                values = values.cast(pa.string())
            extra = self.extras.setdefault(name, _Extra(values.type))
            values = values.cast(extra.kind)
        except (pa.ArrowException, TypeError) as error:
            raise mixed_extra(name) from error
        extra.nulls |= values.null_count > 0
        if pa.types.is_string(extra.kind):
            extra.width = max(extra.width, pc.max(pc.utf8_length(values)).as_py() or 1)
        return values

    def block(self, table: pa.Table) -> HistoryStore:
        """The histories of all users of a partition."""
        coded = table.column(USER).combine_chunks().dictionary_encode()
        users, rows = plain(coded.dictionary.to_pandas()), coded.indices.to_numpy()
        times = table.column(TIME).to_numpy()
        order = np.lexsort((times, rows))  # stable: ties keep the order of the log
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(users)))]).astype(np.int64)

        def sorted_column(name: str) -> np.ndarray | None:
            return table.column(name).to_numpy()[order] if name in table.column_names else None

        items = sorted_column(ITEM)
        assert items is not None
        block = HistoryStore(
            users=users,
            offsets=offsets,
            items=items,
            times=times[order] if self.time == "timestamp" else None,
            behaviours=sorted_column(EVENT),
            weights=sorted_column(WEIGHT),
            positions=None,
            item_vocabulary=Vocabulary(ITEM, []),  # the writer needs none
            extras={
                name: table.column(f"extra {name}").to_numpy()[order].astype(extra.dtype(name))
                for name, extra in self.extras.items()
            },
        )._without_unknown()
        if self.unknown and block.positions is None:
            block = replace(block, positions=block.places.astype(np.int32))
        return block


def _in_shares(spill: Spill, share: int, text_width: int, depth: int) -> Iterator[pa.Table]:
    """The rows of each partition; one that needs more than `share` bytes is cut further, unless it is one user's."""
    for number in np.flatnonzero(spill.rows).tolist():
        need = 2 * spill.size(number) + int(spill.rows[number]) * (ROW_BYTES // 2 + 8 * text_width)
        if need > share and depth < 4 and not _one_user(spill, number):
            count = min(MOST_FILES, math.ceil(1.2 * need / share))
            inner = Spill(spill.folder / f"{number:04d}", count, spill.schema)
            for piece in spill.pieces(number):
                users = plain(piece.column(USER).to_pandas())
                inner.add(piece, partition_of(users, count, depth))
            inner.close()
            spill.remove(number)
            yield from _in_shares(inner, share, text_width, depth + 1)
        else:
            yield spill.read(number)
            spill.remove(number)


def _one_user(spill: Spill, number: int) -> bool:
    first = None
    for piece in spill.pieces(number):
        distinct = piece.column(USER).unique()
        first = distinct[0] if first is None else first
        if len(distinct) > 1 or distinct[0] != first:
            return False
    return True
