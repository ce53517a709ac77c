"""Rows on disk, in as many files as there are partitions of the users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa


def partition_of(users: np.ndarray, count: int, depth: int = 0) -> np.ndarray:
    """The partition of each user id [n], 0 to `count` - 1: a hash of the id, another one at each `depth`."""
    if count == 1:
        return np.zeros(len(users), np.int64)
    places, distinct = pd.factorize(users)
    hashes = pd.util.hash_array(np.asarray(distinct), categorize=False)
    for _ in range(depth):
        hashes = pd.util.hash_array(hashes.view(np.int64))
    return (hashes % np.uint64(count)).astype(np.int64)[places]


class Spill:
    """`count` files of rows under a new folder; rows keep the order in which they are added.

    Args:
        folder: Where the files are; it must not be there yet.
        count: How many.
        schema: The columns of the rows.
    """

    def __init__(self, folder: Path, count: int, schema: pa.Schema) -> None:
        folder.mkdir()
        self.folder, self.schema, self.rows = folder, schema, np.zeros(count, np.int64)
        self._files = [pa.OSFile(str(self._path(number)), "wb") for number in range(count)]
        self._streams = [pa.ipc.new_stream(file, schema) for file in self._files]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04d}.arrow"

    def add(self, table: pa.Table, partitions: np.ndarray) -> None:
        """Write each row to the file of its partition, int64 [rows]."""
        count = len(self.rows)
        if count > 1:
            table = table.take(pa.array(np.argsort(partitions, kind="stable")))
        sizes = np.bincount(partitions, minlength=count)
        ends = np.cumsum(sizes)
        for number in np.flatnonzero(sizes):
            piece = table.slice(ends[number] - sizes[number], sizes[number])
            self._streams[number].write_table(piece.combine_chunks())
        self.rows += sizes

    def close(self) -> None:
        """No row comes any more."""
        for stream, file in zip(self._streams, self._files, strict=True):
            stream.close()
            file.close()

    def size(self, number: int) -> int:
        """Bytes of one file."""
        return self._path(number).stat().st_size

    def pieces(self, number: int) -> Iterator[pa.Table]:
        """The rows of one partition in the pieces they were added in."""
        with pa.OSFile(str(self._path(number))) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])

    def read(self, number: int) -> pa.Table:
        """All rows of one partition."""
        with pa.OSFile(str(self._path(number))) as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()

    def remove(self, number: int) -> None:
        """Give the room of one file back."""
        self._path(number).unlink()
