"""Tests of what happens around the epochs of a fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from recattn.training import fit_scorer
from recattn.training.callbacks import TellObservers, keepers


def test_each_epoch_is_told_once_with_its_own_numbers(prepared: Any, new_witness: Any) -> None:
    witness = new_witness()
    result = fit_scorer(prepared(valid=True, max_epochs=3), observers=[witness])
    assert [step for step, _ in witness.epochs] == [0, 1, 2]
    for (_, told), entry in zip(witness.epochs, result.curve, strict=True):
        assert told | {"epoch": entry["epoch"]} == entry
        assert set(told) == {
            "train/loss",
            "train/retrieval_loss",
            "train/attention_loss",
            "train/deep_loss",
            "valid/ndcg_at_10",
            "valid/recall_at_10",
            "valid/retrieval_ndcg_at_10",
        }
    assert len({told["train/loss"] for _, told in witness.epochs}) == 3


def test_the_loss_is_told_as_the_sum_of_its_parts(prepared: Any, new_witness: Any) -> None:
    witness = new_witness()
    fit_scorer(prepared(attention_weight=1.5, head_weight=0.25), observers=[witness])
    for _, told in witness.epochs:
        parts = (told[f"train/{name}_loss"] for name in ("retrieval", "attention", "deep"))
        expected = sum(weight * part for weight, part in zip((1, 1.5, 0.25), parts, strict=True))
        assert told["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_epochs_without_validation_tell_no_old_one(prepared: Any, new_witness: Any) -> None:
    witness = new_witness()
    fit_scorer(prepared(valid=True, max_epochs=5, valid_every=2), observers=[witness])
    assert ["valid/ndcg_at_10" in told for _, told in witness.epochs] == [False, True, False, True, False]


def test_a_fit_shorter_than_valid_every_is_validated_at_its_end(prepared: Any) -> None:
    result = fit_scorer(prepared(valid=True, max_epochs=2, valid_every=10))
    assert result.best_epoch == 1
    assert ["valid/ndcg_at_10" in entry for entry in result.curve] == [False, True]


@pytest.mark.parametrize("valid", [False, True])
def test_the_last_checkpoint_is_of_the_last_epoch(prepared: Any, tmp_path: Path, valid: bool) -> None:
    import torch

    fit_scorer(prepared(valid=valid, max_epochs=3, valid_every=2), checkpoint_dir=tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 2


def test_the_curve_survives_in_a_checkpoint() -> None:
    tell = TellObservers([])
    tell.curve = [{"epoch": 0, "train/loss": 1.5}]
    again = TellObservers([])
    again.load_state_dict(tell.state_dict())
    assert again.curve == tell.curve


def kinds(small_train: Callable[..., Any], *, validated: bool, **settings: Any) -> list[type]:
    return [type(callback) for callback in keepers("folder", small_train(**settings), validated=validated)]


def test_what_is_kept_hangs_on_validation_and_patience(small_train: Callable[..., Any]) -> None:
    assert kinds(small_train, validated=False) == [ModelCheckpoint]
    assert kinds(small_train, validated=True, patience=0) == [ModelCheckpoint, ModelCheckpoint]
    best, stop, last = keepers("folder", small_train(patience=4), validated=True)
    assert isinstance(stop, EarlyStopping)
    assert (best.monitor, stop.monitor, stop.patience, last.monitor) == (
        "valid/ndcg_at_10",
        "valid/ndcg_at_10",
        4,
        None,
    )
    assert best.mode == stop.mode == "max"
