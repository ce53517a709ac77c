"""A segment of a store: its users and interactions as a folder of flat files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recattn.dataset.history import COLUMNS, HistoryStore
from recattn.dataset.vocabulary import Vocabulary, arrow_ids, plain
from recattn.errors import ArtifactError

USERS, OFFSETS = "users.parquet", "offsets.npy"


class SegmentWriter:
    """Writes a segment block by block: each block has other users than the ones before, in the same codes.

    Args:
        folder: An empty folder.
        extras: The type of each extra column, wide enough for all blocks.
    """

    def __init__(self, folder: Path, extras: Mapping[str, np.dtype]) -> None:
        self.folder, self._extras = folder, dict(extras)
        self._columns: dict[str, _FlatFile] = {}
        self._offsets = _FlatFile(folder / OFFSETS, np.dtype(np.int64))
        self._offsets.add(np.zeros(1, np.int64))
        self._users: pq.ParquetWriter | None = None
        self._rows = self._people = self._longest = self._dropped = 0
        self._latest: int | None = None

    def add(self, block: HistoryStore) -> None:
        """Append a block."""
        ids = arrow_ids("user_id", plain(block.users))
        if self._users is None:
            self._present = [name for name in COLUMNS if getattr(block, name) is not None]
            for name in self._present:
                self._columns[name] = _FlatFile(self.folder / f"{name}.npy", getattr(block, name).dtype)
            for number, (name, dtype) in enumerate(self._extras.items()):
                self._columns[f"extra {name}"] = _FlatFile(self.folder / f"extra{number}.npy", dtype)
            schema = pa.schema([pa.field("id", ids.type)], metadata={b"name": b"user_id"})
            self._users = pq.ParquetWriter(self.folder / USERS, schema)
        self._users.write_table(pa.table([ids.cast(self._users.schema.field(0).type)], schema=self._users.schema))
        for name in self._present:
            self._columns[name].add(getattr(block, name))
        for name in self._extras:
            self._columns[f"extra {name}"].add(block.extras[name])
        self._offsets.add(block.offsets[1:] + self._rows)
        self._rows, self._people = self._rows + len(block), self._people + len(block.users)
        self._longest = max(self._longest, int(block.lengths.max(initial=0)))
        self._dropped += block.dropped
        if block.times is not None and len(block):
            self._latest = max(int(block.times.max()), self._latest or 0)

    def close(self) -> dict[str, Any]:
        """Finish the files, bring them to the disk, and tell what the manifest keeps about the segment."""
        if self._users is not None:
            self._users.close()
            with (self.folder / USERS).open("rb") as file:
                os.fsync(file.fileno())
        for flat in (self._offsets, *self._columns.values()):
            flat.close()
        return {
            "users": self._people,
            "interactions": self._rows,
            "longest": self._longest,
            "dropped": self._dropped,
            "high_water": self._latest,
            "columns": self._present,
            "extras": {name: f"extra{number}.npy" for number, name in enumerate(self._extras)},
        }


def write_segment(store: HistoryStore, folder: Path) -> dict[str, Any]:
    """Write a whole store as one segment; what the manifest keeps about it."""
    writer = SegmentWriter(folder, {name: plain_extra(name, values).dtype for name, values in store.extras.items()})
    writer.add(store)
    return writer.close()


def open_segment(folder: Path, about: dict[str, Any], items: Vocabulary, behaviours: Vocabulary | None) -> HistoryStore:
    """A segment, memory-mapped; ValueError where its files do not fit each other."""

    def mapped(name: str) -> np.ndarray:
        values = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        if len(values) != about["interactions"]:
            raise ValueError(f"{folder.name}/{name} has {len(values)} rows, {about['interactions']} expected")
        return values

    users = plain(pq.read_table(folder / USERS).column("id").to_numpy())
    offsets = np.load(folder / OFFSETS, allow_pickle=False)
    if len(offsets) != len(users) + 1 or offsets[-1] != about["interactions"]:
        raise ValueError(f"{folder.name}/{OFFSETS} does not fit {len(users)} users with {about['interactions']} rows")
    columns = {name: mapped(f"{name}.npy") if name in about["columns"] else None for name in COLUMNS}
    return HistoryStore(
        users=users,
        offsets=offsets,
        item_vocabulary=items,
        behaviour_vocabulary=behaviours,
        extras={name: mapped(file) for name, file in about["extras"].items()},
        dropped=about["dropped"],
        **columns,  # type: ignore[arg-type]
    )


def plain_extra(name: str, values: np.ndarray) -> np.ndarray:
    """An extra column as a plain array; ArtifactError where it holds objects other than text."""
    values = np.asarray(values)
    if values.dtype != object:
        return values
    if not all(isinstance(value, str) for value in values):
        raise mixed_extra(name)
    return values.astype(str)


def mixed_extra(name: str) -> ArtifactError:
    """The error for an extra column that no plain array holds."""
    return ArtifactError(f"the extra column {name!r} holds mixed objects, which cannot be saved. Convert it to str.")


class _FlatFile:
    """An `.npy` file that grows: its header leaves room for the length, which is known at the end."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._file: BufferedWriter = path.open("wb")
        self._dtype, self._length = dtype, 0
        self._header()

    def _header(self) -> None:
        about = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._file, about)

    def add(self, values: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).view(np.uint8).data)
        self._length += len(values)

    def close(self) -> None:
        self._file.seek(0)
        self._header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
