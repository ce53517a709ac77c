"""Tests of one fit: seeds, stopping, trainers, failures."""

from __future__ import annotations

import logging
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from recattn.errors import ConfigError, TrainingError
from recattn.training import FitResult, LitScorer, fit_scorer, lit_scorer
from recattn.training.fit import cheaper_is_better


def weights(result: FitResult) -> dict[str, torch.Tensor]:
    return result.model.scorer.state_dict()


def same(first: FitResult, second: FitResult) -> bool:
    """Bit for bit."""
    return all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_the_same_seed_gives_the_same_weights(prepared: Callable[..., Any]) -> None:
    first = fit_scorer(prepared(valid=True, id_dropout=0.2))
    torch.rand(5)
    assert same(first, fit_scorer(prepared(valid=True, id_dropout=0.2)))


def test_another_seed_gives_other_weights(prepared: Callable[..., Any]) -> None:
    assert not same(fit_scorer(prepared()), fit_scorer(prepared(seed=4)))


def test_the_callers_random_numbers_go_on_undisturbed(prepared: Callable[..., Any]) -> None:
    torch.manual_seed(9)
    state = torch.get_rng_state()
    fit_scorer(prepared(max_epochs=1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bce"])
@pytest.mark.parametrize("score", ["retrieval", "attention", "deep"])
def test_every_loss_falls_for_every_score(prepared: Callable[..., Any], loss: str, score: str) -> None:
    curve = fit_scorer(prepared(loss=loss, score=score, max_epochs=6, learning_rate=0.03)).curve
    assert curve[-1]["train/retrieval_loss"] < curve[0]["train/retrieval_loss"]
    told = {name for name in curve[0] if name.startswith("train/")}
    depth = ["retrieval", "attention", "deep"].index(score)
    assert told == {"train/loss", *(f"train/{name}_loss" for name in ["retrieval", "attention", "deep"][: depth + 1])}


def test_training_stops_when_validations_get_no_better(prepared: Callable[..., Any]) -> None:
    still = {"valid": True, "max_epochs": 6, "learning_rate": 1e-12}
    stopped = fit_scorer(prepared(**still, patience=2))
    assert [len(stopped.curve), stopped.best_epoch] == [3, 0]
    assert len(fit_scorer(prepared(**still, patience=0)).curve) == 6


def test_the_best_weights_are_given_back(prepared: Callable[..., Any], tmp_path: Path) -> None:
    data = prepared(valid=True, max_epochs=8, learning_rate=0.1, patience=0)
    result = fit_scorer(data, checkpoint_dir=tmp_path)
    values = [entry["valid/ndcg_at_10"] for entry in result.curve]
    assert result.best_epoch == values.index(max(values))
    assert result.best_epoch < 7, "the last epoch is the best: the test shows nothing"
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]
    trained = {name: value for name, value in weights(result).items() if name != "memory.weights"}  # chosen afterwards
    assert len(trained) == len(best) - 1
    assert all(torch.equal(value, best[f"scorer.{name}"]) for name, value in trained.items())
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert not torch.equal(best["scorer.items.ids.weight"], last["scorer.items.ids.weight"])


def test_without_validation_the_last_weights_are_given_back(prepared: Callable[..., Any], tmp_path: Path) -> None:
    result = fit_scorer(prepared(), checkpoint_dir=tmp_path)
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert result.best_epoch is None
    assert all(torch.equal(value, last[f"scorer.{name}"]) for name, value in weights(result).items())
    assert not (tmp_path / "best.ckpt").exists()


def test_what_is_given_back_is_ready_to_score(prepared: Callable[..., Any]) -> None:
    scorer = fit_scorer(prepared(max_epochs=1)).model.scorer
    assert not scorer.training
    assert scorer.start.device.type == "cpu"


def test_the_cost_of_a_validation_is_told_before_the_start(
    prepared: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="recattn"):
        fit_scorer(prepared(valid=True, max_epochs=1))
    assert "a validation ranks 12 items for 24 requests; about " in caplog.text


class Note(Callback):
    """Notes the epochs it sees; stands for what users hang on their trainers."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epochs.append(trainer.current_epoch)


def test_any_trainer_will_do_and_gets_its_callbacks_back(
    prepared: Callable[..., Any], quiet_trainer: Callable[..., L.Trainer], tmp_path: Path
) -> None:
    note = Note()
    trainer = quiet_trainer(
        max_epochs=3, callbacks=[note], enable_checkpointing=True, accumulate_grad_batches=2, default_root_dir=tmp_path
    )
    before = list(trainer.callbacks)
    result = fit_scorer(prepared(valid=True), trainer=trainer, checkpoint_dir=tmp_path / "ours")
    assert note.epochs == [0, 1, 2]
    assert [entry["epoch"] for entry in result.curve] == [0, 1, 2]
    assert len(before) > 1
    assert all(one is other for one, other in zip(trainer.callbacks, before, strict=True))
    assert (tmp_path / "ours" / "best.ckpt").exists()


def test_a_trainer_of_the_same_settings_gives_the_same_weights(
    prepared: Callable[..., Any], quiet_trainer: Callable[..., L.Trainer]
) -> None:
    assert same(fit_scorer(prepared()), fit_scorer(prepared(), trainer=quiet_trainer(max_epochs=2)))


def test_a_trainer_gets_its_callbacks_back_after_an_error(
    prepared: Callable[..., Any], quiet_trainer: Callable[..., L.Trainer]
) -> None:
    class Fault(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            raise ZeroDivisionError("mine")

    fault = Fault()
    trainer = quiet_trainer(max_epochs=1, callbacks=[fault])
    before = list(trainer.callbacks)
    with pytest.raises(ZeroDivisionError, match="mine"):
        fit_scorer(prepared(), trainer=trainer)
    assert trainer.callbacks == before


def test_a_used_trainer_is_refused(prepared: Callable[..., Any], quiet_trainer: Callable[..., L.Trainer]) -> None:
    trainer = quiet_trainer(max_epochs=1)
    fit_scorer(prepared(), trainer=trainer)
    with pytest.raises(
        ConfigError, match=r"this trainer has been used: it stands after epoch 0.*Pass a fresh L\.Trainer"
    ):
        fit_scorer(prepared(), trainer=trainer)


def test_an_interrupt_ends_the_fit_and_later_ones_are_heard(
    prepared: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LitScorer, "training_step", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores them
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_scorer(prepared())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ZeroDivisionError])
def test_a_fit_without_a_folder_leaves_none(
    prepared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if error is None:
        fit_scorer(prepared(max_epochs=1))
    else:
        monkeypatch.setattr(LitScorer, "on_train_epoch_end", lambda self: (_ for _ in ()).throw(error))
        with pytest.raises(error):
            fit_scorer(prepared(max_epochs=1))
    assert list(tmp_path.iterdir()) == []


def fail_at(monkeypatch: pytest.MonkeyPatch, epoch: int, step: int) -> None:
    """The loss is no number there."""
    real = lit_scorer.window_losses

    def losses(scorer: Any, batch: Any, train: Any) -> dict[str, torch.Tensor]:
        here["step"] += 1
        found = real(scorer, batch, train)
        return found | {"retrieval": found["retrieval"] * torch.nan} if here["step"] == 3 * epoch + step else found

    here = {"step": -1}
    monkeypatch.setattr(lit_scorer, "window_losses", losses)


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(
    prepared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, epoch=2, step=1)
        with pytest.raises(
            TrainingError,
            match=r"became nan at epoch 2, step 1\. Try a lower learning_rate \(now 0\.01\), more warmup_steps, or a "
            rf"smaller clip_norm\. The last good checkpoint is {tmp_path / 'last.ckpt'}\.",
        ):
            fit_scorer(prepared(max_epochs=4), checkpoint_dir=tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 1
    resumed = fit_scorer(prepared(max_epochs=4), checkpoint_dir=tmp_path, resume=True)
    assert same(resumed, fit_scorer(prepared(max_epochs=4)))


def test_with_validation_the_best_checkpoint_is_named(
    prepared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, epoch=1, step=0)
    with pytest.raises(TrainingError, match=rf"at epoch 1, step 0\..*checkpoint is {tmp_path / 'best.ckpt'}\."):
        fit_scorer(prepared(valid=True), checkpoint_dir=tmp_path)


def test_a_checkpoint_without_a_folder_of_its_own_is_kept_where_the_error_says(
    prepared: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fail_at(monkeypatch, epoch=1, step=2)
    with pytest.raises(TrainingError, match=r"last\.ckpt") as caught:
        fit_scorer(prepared())
    assert Path(str(caught.value).split()[-1].rstrip(".")).with_suffix(".ckpt").is_file()


def test_an_absurd_learning_rate_fails_before_there_is_a_checkpoint(prepared: Callable[..., Any]) -> None:
    with pytest.raises(
        TrainingError, match=r"became (nan|inf) at epoch 0, step \d.*\(now 1e\+30\).*There is no good checkpoint yet"
    ):
        fit_scorer(prepared(learning_rate=1e30, warmup_steps=0))


@pytest.mark.parametrize("valid", [False, True])
def test_weights_that_break_in_an_epochs_last_step_are_not_kept(
    prepared: Callable[..., Any], quiet_trainer: Callable[..., L.Trainer], tmp_path: Path, valid: bool
) -> None:
    class Break(Callback):
        def on_train_batch_end(self, trainer: L.Trainer, module: Any, out: Any, batch: Any, batch_idx: int) -> None:
            if trainer.current_epoch == 1 and batch_idx == 2:
                module.scorer.start.data[0] = torch.nan

    trainer = quiet_trainer(max_epochs=3, callbacks=[Break()])
    with pytest.raises(TrainingError, match=r"1 weights \(first: start\) are no longer finite at the end of epoch 1"):
        fit_scorer(prepared(valid=valid), trainer=trainer, checkpoint_dir=tmp_path)
    for path in tmp_path.glob("*.ckpt"):
        state = torch.load(path, weights_only=True)
        assert state["epoch"] == 0
        assert state["state_dict"]["scorer.start"].isfinite().all()


def test_a_fit_says_when_the_cheaper_score_validates_better() -> None:
    better = {"epoch": 1, "valid/ndcg_at_10": 0.11, "valid/retrieval_ndcg_at_10": 0.12}
    curve = [{"epoch": 0, "valid/ndcg_at_10": 0.1, "valid/retrieval_ndcg_at_10": 0.1}, better]
    assert cheaper_is_better(curve, 0) is None
    found = cheaper_is_better(curve, 1)
    assert found is not None
    assert "the retrieval score alone ranks better (NDCG@10 0.1200) than the model's score (0.1100)" in found
    assert cheaper_is_better([{"epoch": 0, "valid/ndcg_at_10": 0.1}], 0) is None
