"""The batches of a fit as a LightningDataModule."""

from __future__ import annotations

from dataclasses import dataclass

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from recattn.batching.assemble import Assembler
from recattn.batching.loaders import TruthBatches, WindowBatches, whole_batches
from recattn.config import TrainConfig
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.requests import Requests
from recattn.dataset.tables import ItemTable
from recattn.dataset.windows import make_windows


@dataclass(frozen=True, eq=False)
class Validation:
    """Requests with their answers `truth[offsets[x]:offsets[x + 1]]`, over the store of `assembler`."""

    assembler: Assembler
    requests: Requests
    truth: np.ndarray  # int32 [M] codes, -1 = outside the catalog: a miss
    offsets: np.ndarray  # int64 [X + 1]

    def sample(self, most: int | None, seed: int) -> Validation:
        """At most `most` requests, drawn with `seed`, in their order."""
        if most is None or len(self.requests) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self.requests), most, replace=False))
        kept = np.repeat(np.isin(np.arange(len(self.requests)), rows), np.diff(self.offsets))
        offsets = np.concatenate([[0], np.cumsum(np.diff(self.offsets)[rows])])
        return Validation(self.assembler, self.requests.take(rows), self.truth[kept], offsets)


class DataModule(L.LightningDataModule):
    """Windows of one store to train on, requests of another to validate on.

    Args:
        assembler: Over the training histories.
        table: The items; only recommendable ones with training events are drawn as negatives.
        train: How to train.
        validation: What to validate on, or None.
        num_workers: Processes that build batches; 0 builds them in this one.
    """

    def __init__(
        self,
        assembler: Assembler,
        table: ItemTable,
        train: TrainConfig,
        validation: Validation | None = None,
        *,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.assembler, self.train_config, self.num_workers = assembler, train, num_workers
        self.validation = None if validation is None else validation.sample(train.valid_requests, train.seed)
        config = assembler.config
        self.windows = make_windows(assembler.store, config.max_history, overlap=train.window_overlap, ties=config.ties)
        counts = np.bincount(assembler.store.items, minlength=len(table))
        allowed = table.recommendable & (counts > 0)  # what cannot be a target is no negative, see ItemEncoder.targets
        self.sampler = NegativeSampler(counts, train.negatives_power, allowed=allowed)
        self._first_epoch = 0

    def state_dict(self) -> dict[str, int]:
        """Workers fetch the first batches of a resumed fit before Lightning knows its epoch: here they find it."""
        return {"first_epoch": self.trainer.current_epoch + 1 if self.trainer else 0}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._first_epoch = state_dict["first_epoch"]

    def train_dataloader(self) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        batches = WindowBatches(
            self.assembler, self.windows, self.train_config, self.sampler, rank=rank, world_size=world
        )
        batches.set_epoch(self._first_epoch)  # later ones by `LitScorer.on_train_epoch_start`
        return whole_batches(batches, num_workers=self.num_workers, pin_memory=self._pinned)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        if self.validation is None:
            return []
        batches = self.truth_batches(self.validation)
        return whole_batches(batches, num_workers=self.num_workers, pin_memory=self._pinned)

    def truth_batches(self, validation: Validation, *, whole: bool = False) -> TruthBatches:
        """This process's share of the validation, or the `whole`."""
        shared = self.trainer is not None and not whole
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if shared else (0, 1)
        return TruthBatches(
            validation.assembler,
            validation.requests,
            validation.truth,
            validation.offsets,
            self.train_config.batch_size,
            rank=rank,
            world_size=world,
        )

    @property
    def _pinned(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
