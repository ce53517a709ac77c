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
import torch

from recattn.training.trainer import bf16_wanted, interruptible, make_trainer, quiet_lightning, quiet_parts


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


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`device(cuda=None, mps=False, amx=False)`: what the machine seems to have; `cuda` says whether it has bf16."""

    def pretend(*, cuda: bool | None = None, mps: bool = False, amx: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: cuda or including_emulation
        )
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx, "avx2": True}, raising=False)

    return pretend


def test_bfloat16_is_wanted_where_the_device_has_units_for_it(
    small_train: Callable[..., Any], device: Callable[..., None]
) -> None:
    auto = small_train(precision="auto")
    for has, wanted in (
        ({}, False),
        ({"amx": True}, True),
        ({"mps": True, "amx": True}, False),
        ({"cuda": True}, True),
        ({"cuda": False, "amx": True}, False),  # emulated only
    ):
        device(**has)
        assert bf16_wanted(auto) is wanted, has
        assert bf16_wanted(small_train(precision="bf16"))
        assert not bf16_wanted(small_train(precision="float32"))


def test_a_torch_that_does_not_tell_capabilities_trains_in_float32(
    small_train: Callable[..., Any], device: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    device()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not bf16_wanted(small_train(precision="auto"))


@pytest.mark.parametrize(("precision", "expected"), [("bf16", "bf16-mixed"), ("float32", "32-true")])
def test_the_trainer_has_the_precision_asked_for(
    small_train: Callable[..., Any], tmp_path: Path, precision: str, expected: str
) -> None:
    assert make_trainer(small_train(precision=precision), tmp_path).precision == expected


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
