"""Tests of the Lightning trainer of a fit."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recattn.training.trainer import interruptible, make_trainer, quiet_lightning, quiet_parts


def test_a_trainer_of_ours_logs_nothing_and_writes_nothing(small_train: Callable[..., Any], tmp_path: Path) -> None:
    trainer = make_trainer(small_train(max_epochs=7), tmp_path)
    assert trainer.max_epochs == 7
    assert trainer.loggers == []
    assert trainer.checkpoint_callbacks == []
    assert trainer.num_sanity_val_steps == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("epochs", "every", "expected"), [(5, 1, 1), (5, 3, 3), (2, 9, 2)])
def test_validation_comes_as_often_as_asked_and_at_least_once(
    small_train: Callable[..., Any], tmp_path: Path, epochs: int, every: int, expected: int
) -> None:
    trainer = make_trainer(small_train(max_epochs=epochs, valid_every=every), tmp_path)
    assert trainer.check_val_every_n_epoch == expected


def test_lightning_is_quiet_for_a_while_only() -> None:
    logger = logging.getLogger("lightning.pytorch")
    before, filters = logger.level, list(warnings.filters)
    with quiet_lightning():
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == before
    assert list(warnings.filters) == filters


def leave(interrupted: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible(SimpleNamespace(interrupted=interrupted)):  # type: ignore[arg-type]
        raise SystemExit(1)


def test_only_an_interrupt_becomes_one() -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            leave(interrupted=True)
        with pytest.raises(SystemExit):
            leave(interrupted=False)
    finally:
        signal.signal(signal.SIGINT, handler)


def test_fits_outside_the_main_thread_leave_signals_alone() -> None:
    found: list[str] = []

    def work() -> None:
        with interruptible(SimpleNamespace(interrupted=False)):  # type: ignore[arg-type]
            found.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["done"]


def test_only_what_is_ours_is_quiet_in_a_trainer_that_is_not(tmp_path: Path) -> None:
    ours, theirs = (f"Checkpoint directory {tmp_path / name} exists and is not empty." for name in ("a+b", "c"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet_parts(tmp_path / "a+b"):
            warnings.warn(ours, stacklevel=1)
            warnings.warn(theirs, stacklevel=1)
            warnings.warn("Your `IterableDataset` has `__len__` defined. In combination with", stacklevel=1)
    assert [str(one.message) for one in seen] == [theirs]
