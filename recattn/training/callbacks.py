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
        self._validated: int | None = None  # the last epoch with a validation

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._validated = trainer.current_epoch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self._validated != trainer.current_epoch:  # Lightning keeps the values of the validation before
            values = {name: value for name, value in values.items() if not name.startswith("valid/")}
        self.curve.append({"epoch": trainer.current_epoch} | values)
        if trainer.is_global_zero:
            for observer in self.observers:
                observer.metrics(values, step=trainer.current_epoch)

    def state_dict(self) -> dict[str, list[dict[str, float]]]:
        return {"curve": self.curve}

    def load_state_dict(self, state_dict: Mapping[str, list[dict[str, float]]]) -> None:
        self.curve = list(state_dict["curve"])


class Patience(EarlyStopping):
    """Early stopping that stays stopped when the fit it ended is resumed."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def keepers(folder: str, train: TrainConfig, *, validated: bool) -> list[Callback]:
    """`last.ckpt` after every epoch; with validation `best.ckpt` by NDCG@10, and early stopping."""
    last = ModelCheckpoint(
        folder,
        filename="last",
        save_top_k=1,
        every_n_epochs=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
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
    stop = Patience(MONITOR, mode="max", patience=train.patience, check_on_train_epoch_end=False)
    return [best, *([stop] if train.patience else []), last]
