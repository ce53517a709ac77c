"""The order in which windows and requests are batched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from recattn.batching.assemble import Assembler
from recattn.batching.batch import TruthBatch, WindowBatch
from recattn.config import TrainConfig
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.requests import Requests, gather_ranges
from recattn.dataset.windows import Windows


def share(count: int, rank: int, world_size: int) -> range:
    """What `rank` has of `count` rows: neighbours, so that a process reads one part of a store; all but evenly cut."""
    return range(count * rank // world_size, count * (rank + 1) // world_size)


def bucketed_batches(lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int, rank: int = 0) -> list[np.ndarray]:
    """Batches of rows of similar length, in random order: a pure function of its arguments.

    Rows are shuffled, sorted by length within stretches of 50 batches, cut, and the batches shuffled.
    """
    rng = np.random.default_rng([seed, epoch, rank])
    order = rng.permutation(len(lengths))
    stretch = 50 * batch_size
    pieces = [order[start : start + stretch] for start in range(0, len(order), stretch)]
    if pieces:
        order = np.concatenate([piece[np.argsort(lengths[piece], kind="stable")] for piece in pieces])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


class _Batches(IterableDataset[Any]):
    """Ready-made batches in a fixed order; `self[step]` is a pure function of the object's state."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, step: int) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        return (self[step] for step in range(first, len(self), stride))


class WindowBatches(_Batches):
    """Batch `step` of the current epoch; every rank sees its own share, all ranks the same number of steps.

    A batch depends on (seed, epoch, step, rank) alone, so a resumed fit sees the batches an undisturbed one would. A
    step has `batch_size` windows of each rank; a rank whose share ends before the last step has a `spare` batch there,
    which is to count nothing.
    """

    def __init__(
        self,
        assembler: Assembler,
        windows: Windows,
        train: TrainConfig,
        sampler: NegativeSampler,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.assembler, self.windows, self.train, self.sampler = assembler, windows, train, sampler
        self.rank, self.world_size = rank, world_size
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of `epoch`."""
        self.epoch = epoch
        mine = share(len(self.windows), self.rank, self.world_size)
        lengths = self.windows.lengths[mine.start : mine.stop]
        batches = bucketed_batches(lengths, self.train.batch_size, seed=self.train.seed, epoch=epoch, rank=self.rank)
        self._batches = [mine.start + batch for batch in batches]

    def __len__(self) -> int:
        largest = -(-len(self.windows) // self.world_size)
        return -(-largest // self.train.batch_size)

    def spare(self, step: int) -> bool:
        """Whether the batch is there only so that no rank waits for another."""
        return step >= len(self._batches)

    def __getitem__(self, step: int) -> WindowBatch:
        rows = np.zeros(1, np.int64) if self.spare(step) else self._batches[step]
        rng = np.random.default_rng([self.train.seed, self.epoch, step, self.rank])
        return self.assembler.windows(self.windows, rows, self.train, self.sampler, rng)


class TruthBatches(_Batches):
    """Validation requests with their answers, similar history lengths together; every rank sees its own share.

    Shares are of unequal size, without repeats. Only a rank without any has a `spare` batch, which is to count nothing:
    ranks wait for each other at the end of a validation.
    """

    def __init__(
        self,
        assembler: Assembler,
        requests: Requests,
        truth: np.ndarray,
        offsets: np.ndarray,
        batch_size: int,
        *,
        exclude_seen: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.assembler, self.requests, self.truth, self.offsets = assembler, requests, truth, offsets
        self.exclude_seen = exclude_seen
        order = np.argsort(requests.lengths, kind="stable")
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        self.spare = rank >= len(batches)
        self._batches = batches[:1] if self.spare else batches[rank::world_size]
        self._places = [0] if self.spare else range(rank * batch_size, len(order), world_size * batch_size)

    def place(self, step: int) -> int:
        """How many of all ranks' requests come before the first of batch `step`."""
        return self._places[step]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> TruthBatch:
        rows = self._batches[step]
        cells, offsets = gather_ranges(self.offsets[rows], self.offsets[rows + 1])
        part = self.requests.take(rows)
        return self.assembler.truths(part, self.truth[cells], offsets, exclude_seen=self.exclude_seen)


def whole_batches(batches: _Batches, *, num_workers: int = 0, pin_memory: bool = False) -> DataLoader:
    """A loader of ready-made batches, in their order whatever the number of workers."""
    return DataLoader(batches, batch_size=None, num_workers=num_workers, pin_memory=pin_memory)
