"""The Lightning trainer of a fit."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import torch

from recattn.config import TrainConfig
from recattn.errors import ConfigError

# oneDNN keeps a compiled product, with buffers of its own, for each of the last 1,024 shapes it has met. Windows
# trimmed to their longest history have many: with the linear head on ml-1m they held 0.8 GB after 90 steps.
PRODUCTS_KEPT = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")


def make_trainer(settings: TrainConfig, folder: Path) -> L.Trainer:
    """A trainer for the best device there is; with validation it validates at least once.

    Sets `PRODUCTS_KEPT` where the environment does not say otherwise; oneDNN reads it at its first product.
    """
    os.environ.setdefault(*PRODUCTS_KEPT)
    with quiet_lightning():
        return L.Trainer(
            max_epochs=settings.max_epochs,
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if bf16_wanted(settings) else "32-true",
            logger=False,
            enable_progress_bar=sys.stderr.isatty(),
            enable_model_summary=False,
            enable_checkpointing=False,  # ours are added for the fit
            num_sanity_val_steps=0,
            check_val_every_n_epoch=min(settings.valid_every, settings.max_epochs),
            default_root_dir=str(folder),
        )


def bf16_wanted(settings: TrainConfig) -> bool:
    """Whether matrix products of a fit are to be done in bfloat16 on the device `make_trainer` takes."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.backends.mps.is_available():
        return False
    return _multiplies_bf16()


def _multiplies_bf16() -> bool:
    """Whether the processor has matrix units for bfloat16."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(known.get("amx_bf16", False))


def check_trainer(trainer: object) -> None:
    """ConfigError for what is no trainer of `lightning`."""
    if not isinstance(trainer, L.Trainer):
        raise ConfigError(
            f"trainer must be a lightning.Trainer, got {trainer!r} of {type(trainer).__module__}. Pass "
            "trainer=L.Trainer(...), with `import lightning as L`."
        )


def check_unused(trainer: L.Trainer) -> None:
    """ConfigError for a trainer that has trained: Lightning would go on after its last epoch, not anew."""
    epochs = trainer.fit_loop.epoch_progress.current.processed
    if epochs:
        raise ConfigError(
            f"this trainer has been used: it stands after epoch {epochs - 1} and would not train anew. "
            "Pass a fresh L.Trainer for each fit."
        )


@contextlib.contextmanager
def interruptible(trainer: L.Trainer) -> Iterator[None]:
    """KeyboardInterrupt stays one: Lightning makes an exit of it, and leaves the process deaf to later ones."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's hints on devices, other products and our loaders."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def quiet_parts(folder: Path) -> Iterator[None]:
    """Without Lightning's hints on what is ours in a trainer that is not: checkpoints in `folder`, loaders."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=rf"Checkpoint directory {re.escape(str(folder))}")
        warnings.filterwarnings("ignore", message="Your `IterableDataset` has `__len__` defined")
        warnings.filterwarnings("ignore", message="Total length of `list` across ranks is zero")
        yield
