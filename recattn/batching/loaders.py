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


def bucketed_batches(lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Batches of rows of similar length, in random order: a pure function of its arguments.

    Rows are shuffled, sorted by length within stretches of 50 batches, cut, and the batches shuffled.
    """
    rng = np.random.default_rng([seed, epoch])
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

    A batch depends on (seed, epoch, step, rank) alone, so a resumed fit sees the batches an undisturbed one would.
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
        self._batches = bucketed_batches(self.windows.lengths, self.train.batch_size, seed=self.train.seed, epoch=epoch)

    def __len__(self) -> int:
        return -(-len(self._batches) // self.world_size)

    def __getitem__(self, step: int) -> WindowBatch:
        rows = self._batches[(step * self.world_size + self.rank) % len(self._batches)]
        rng = np.random.default_rng([self.train.seed, self.epoch, step, self.rank])
        return self.assembler.windows(self.windows, rows, self.train, self.sampler, rng)


class TruthBatches(_Batches):
    """Validation requests with their answers, similar history lengths together; every rank sees its own share."""

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
        self._batches = batches[rank::world_size]

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
