"""Rows of one request brought together through files, where a slate has them far apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from recattn.jobs import faults
from recattn.jobs.pipeline import overlapped
from recattn.jobs.slate import Rows

ROW = "__row__"
MOST_BUCKETS = 256  # files open at a time
SAMPLE = 2**20  # requests looked at to tell how far apart their rows are
MUCH = 1.5  # times a history would be read, from which on grouping pays
SPILLED, ABOUT = "spilled", "plan"

Stretches = Sequence[tuple[int, int]]


def spread(rows: Rows, stretches: Stretches, keys: Sequence[str]) -> float:
    """In how many stretches the rows of a request lie on average, by a sample of the requests."""
    hashes, counts, limit = np.empty(0, np.uint64), np.empty(0, np.int64), 2**64 - 1
    for table in rows.tables(stretches, keys):
        found = np.unique(_hashes(table, keys))
        merged, place = np.unique(np.concatenate([hashes, found[found <= limit]]), return_inverse=True)
        ones = np.ones(len(place) - len(hashes), np.int64)
        counts = np.bincount(place, weights=np.concatenate([counts, ones]), minlength=len(merged)).astype(np.int64)
        hashes = merged
        while len(hashes) > SAMPLE:
            limit //= 2
            counts, hashes = counts[hashes <= limit], hashes[hashes <= limit]
    return float(counts.sum() / len(counts)) if len(counts) else 1.0


class Grouped:
    """The scores of stretches of rows, found request by request.

    A scan of the slate spills what scores depend on into buckets by a hash of the request; each bucket is scored by
    itself, its result cut at the stretches. Both are kept in `folder`, so that a job that is started again goes on.
    """

    def __init__(self, folder: Path, about: str, rows: Rows, stretches: Stretches) -> None:
        self.folder, self.rows, self.stretches = folder, rows, stretches
        self.buckets = min(MOST_BUCKETS, len(stretches))
        if not (folder / ABOUT).exists() or (folder / ABOUT).read_text() != about:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / ABOUT).write_text(about)

    def spill(self, columns: Sequence[str], keys: Sequence[str]) -> None:
        """Write the buckets, unless an earlier start has."""
        if (self.folder / SPILLED).exists():
            return
        with ExitStack() as stack:
            writers: dict[int, Any] = {}
            tables = self.rows.tables(self.stretches, columns)
            for (start, stop), table in zip(self.stretches, tables, strict=True):
                table = table.append_column(ROW, pa.array(np.arange(start, stop)))
                owners = _hashes(table, keys) % np.uint64(self.buckets)
                order = np.argsort(owners, kind="stable")
                sorted_table = table.take(pa.array(order))
                ends = np.searchsorted(owners[order], np.arange(self.buckets + 1).astype(np.uint64))
                for bucket in range(self.buckets):
                    if bucket not in writers:
                        sink = stack.enter_context(pa.OSFile(str(self._bucket(bucket)), "wb"))
                        writers[bucket] = stack.enter_context(pa.ipc.new_stream(sink, table.schema))
                    writers[bucket].write_table(sorted_table.slice(ends[bucket], ends[bucket + 1] - ends[bucket]))
        (self.folder / SPILLED).touch()

    def score(self, prepare: Callable[[Any], Any], work: Callable[[Any], Any], told: Callable[[int], None]) -> None:
        """`work(prepare(table))` for each bucket that has no result yet; `told` hears of the rows done."""

        def read() -> Iterator[tuple[int, np.ndarray, Any]]:
            for bucket in range(self.buckets):
                if self._scored(bucket).exists():
                    told(self._count(bucket))
                    continue
                with pa.OSFile(str(self._bucket(bucket))) as source:
                    table = pa.ipc.open_stream(source).read_all()
                yield bucket, table.column(ROW).to_numpy(), prepare(table.drop_columns([ROW]))

        def write(result: tuple[int, np.ndarray, dict[str, Any]]) -> None:
            bucket, rows, columns = result
            table = pa.table({ROW: pa.array(rows), **columns})
            partial = self.folder / f".partial-{bucket}"
            with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
                for start, stop in self.stretches:
                    first, last = np.searchsorted(rows, [start, stop])
                    file.write_batch(_batch(table.slice(first, last - first)))
            partial.replace(self._scored(bucket))
            faults.reach("after_bucket", bucket)
            told(len(rows))

        overlapped(read(), lambda item: (item[0], item[1], work(item[2])), write)

    def columns(self, index: int) -> dict[str, Any]:
        """The result of the stretch at `index`, in the order of its rows."""
        batches = []
        for bucket in range(self.buckets):
            with pa.memory_map(str(self._scored(bucket))) as source:
                batches.append(pa.ipc.open_file(source).get_batch(index))
        table = pa.Table.from_batches(batches)
        table = table.take(pa.array(np.argsort(table.column(ROW).to_numpy(), kind="stable"))).drop_columns([ROW])
        return {name: table.column(name) for name in table.column_names}

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _bucket(self, bucket: int) -> Path:
        return self.folder / f"bucket-{bucket:03}.arrow"

    def _scored(self, bucket: int) -> Path:
        return self.folder / f"scored-{bucket:03}.arrow"

    def _count(self, bucket: int) -> int:
        with pa.memory_map(str(self._scored(bucket))) as source:
            file = pa.ipc.open_file(source)
            return sum(file.get_batch(batch).num_rows for batch in range(file.num_record_batches))


def _hashes(table: Any, keys: Sequence[str]) -> np.ndarray:
    return pd.util.hash_pandas_object(table.select(list(keys)).to_pandas(), index=False).to_numpy()


def _batch(table: Any) -> Any:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
