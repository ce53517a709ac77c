"""What happens around the epochs of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from recattn.config import TrainConfig
from recattn.observer import Observer
from recattn.training.lit_scorer import MONITOR


class TellObservers(Callback):
    """Passes each epoch's metrics on, once a finished epoch, from the main process."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers
        self.curve: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.current_epoch + 1 < trainer.max_epochs and not self._validated(trainer):
            values = {name: value for name, value in values.items() if not name.startswith("valid/")}
        self.curve.append({"epoch": trainer.current_epoch} | values)
        if trainer.is_global_zero:
            for observer in self.observers:
                observer.metrics(values, step=trainer.current_epoch)

    def state_dict(self) -> dict[str, list[dict[str, float]]]:
        return {"curve": self.curve}

    def load_state_dict(self, state_dict: Mapping[str, list[dict[str, float]]]) -> None:
        self.curve = list(state_dict["curve"])

    @staticmethod
    def _validated(trainer: L.Trainer) -> bool:
        every = trainer.check_val_every_n_epoch or 1
        return (trainer.current_epoch + 1) % every == 0


def keepers(folder: str, train: TrainConfig, *, validated: bool) -> list[Callback]:
    """`last.ckpt` after every epoch; with validation `best.ckpt` by NDCG@10, and early stopping."""
    last = ModelCheckpoint(folder, filename="last", save_top_k=1, every_n_epochs=1, enable_version_counter=False)
    if not validated:
        return [last]
    best = ModelCheckpoint(
        folder,
        filename="best",
        monitor=MONITOR,
        mode="max",
        save_top_k=1,
        enable_version_counter=False,
        auto_insert_metric_name=False,
        save_on_train_epoch_end=False,
    )
    stop = EarlyStopping(MONITOR, mode="max", patience=train.patience, check_on_train_epoch_end=False)
    return [best, *([stop] if train.patience else []), last]
