"""Tests of a whole fit: what observers are told, refits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.config import Numeric
from recattn.dataset import HistoryStore, Vocabulary
from recattn.dataset.transitions import count_transitions
from recattn.errors import ConfigError, DataError, TrainingError
from recattn.observer import Observer
from recattn.training import FitResult, fit_scorer, lit_scorer
from recattn.training.prepare import Specs, prepare_fit
from recattn.training.session import Session


@pytest.fixture
def run(
    world: Any, small_model: Callable[..., Any], small_train: Callable[..., Any], one_thread: None
) -> Callable[..., FitResult]:
    """`run(session={...}, train={...}, valid=frame)`: a Session run on the shared world."""

    def go(
        *,
        log: Any = None,
        valid: Any = None,
        items: Any = None,
        refit: bool = False,
        specs: Any = ((), (), ()),
        model: Any = None,
        train: Any = None,
        **session: Any,
    ) -> FitResult:
        settings = small_train(**({"max_epochs": 1} | (train or {})))
        made = Session(small_model(**(model or {})), settings, specs, **session)
        return made.run(world.train if log is None else log, valid=valid, items=items, users=None, refit=refit)

    return go


def test_an_observer_is_told_of_everything_in_order(run: Any, world: Any, new_witness: Any) -> None:
    witness = new_witness()
    assert isinstance(witness, Observer)
    run(valid=world.valid, items=world.items, observers=[witness], train={"max_epochs": 2})
    assert witness.calls == [
        "params",
        "artifact",
        "dataset",
        "dataset",
        "dataset",
        "metrics",
        "metrics",
        "artifact",
        "metrics",
    ]
    assert [step for step, told in witness.epochs if "train/loss" in told] == [0, 1]
    assert witness.errors == []


def test_the_last_thing_told_is_what_the_fit_took(run: Any, new_witness: Any) -> None:
    witness = new_witness()
    model = run(observers=[witness]).model
    step, told = witness.epochs[-1]
    assert step == 0
    assert told["cost/parameters"] == sum(weights.numel() for weights in model.scorer.parameters())
    assert 0 < told["cost/fit_seconds"] < 60
    assert told["cost/peak_memory_mb"] > 50


def test_other_processes_of_a_distributed_fit_tell_nothing(
    run: Any, new_witness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recattn.training.session.rank_zero_only.rank", 1)
    witness = new_witness()
    with contextlib.suppress(Exception):  # the fit itself is another's business
        run(observers=[witness])
    assert witness.calls == []


def test_params_are_flat_scalars_that_say_what_was_trained_on(run: Any, world: Any, new_witness: Any) -> None:
    witness = new_witness()
    run(items=world.items, specs=((Numeric("price"),), (), ()), observers=[witness], train={"valid_requests": None})
    assert all(isinstance(value, str | int | float | bool) for value in witness.values.values())
    expected = {
        "model.dim": 8,
        "model.features": "price",
        "train.seed": 3,
        "train.valid_requests": "none",
        "data.users": 12,
        "data.items": 14,
        "data.cold_items": 2,
        "data.interactions": 84,
        "data.longest_history": 7,
        "data.mean_history": 7.0,
    }
    assert {name: witness.values[name] for name in expected} == expected


def test_the_configuration_is_kept_as_plain_values(run: Any, new_witness: Any) -> None:
    witness = new_witness()
    run(observers=[witness])
    config = witness.artifacts["config.json"]
    assert config["model"]["max_history"] == 10
    assert config["train"]["batch_size"] == 4


def test_frames_are_told_as_datasets_and_stores_by_their_digest(run: Any, world: Any, new_witness: Any) -> None:
    witness = new_witness()
    store = HistoryStore.from_frame(world.train, Vocabulary.from_values("item_id", world.train["item_id"]))
    run(log=store, valid=world.valid, observers=[witness])
    assert {name: context for name, (_, context) in witness.datasets.items()} == {"valid": "validation"}
    assert witness.datasets["valid"][0] is world.valid
    assert witness.values["data.train_digest"] == store.digest


def test_every_observer_is_told(run: Any, new_witness: Any) -> None:
    first, second = new_witness(), new_witness()
    run(observers=[first, second])
    assert first.calls == second.calls
    assert len(first.calls) == 5


def test_observers_hear_of_a_failed_fit(run: Any, new_witness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lit_scorer, "window_losses", lambda *_: {"retrieval": torch.tensor(torch.nan)})
    witness = new_witness()
    with pytest.raises(TrainingError) as caught:
        run(observers=[witness])
    assert witness.calls[-1] == "failed"
    assert witness.errors == [caught.value]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_observers_hear_of_a_fit_that_was_stopped(
    run: Any, new_witness: Any, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def stop(*_: Any) -> None:
        raise error

    monkeypatch.setattr(lit_scorer, "window_losses", stop)
    witness = new_witness()
    with pytest.raises(error):
        run(observers=[witness])
    assert [type(found) for found in witness.errors] == [error]


def test_observers_hear_of_bad_data(run: Any, world: Any, new_witness: Any) -> None:
    witness = new_witness()
    with pytest.raises(DataError, match="there is nothing to rank"):
        run(log=world.train.assign(item_id="i00"), observers=[witness])
    assert witness.calls == ["failed"]


def test_a_refit_takes_train_and_valid_for_the_best_number_of_epochs(
    run: Any, world: Any, small_model: Any, small_train: Any
) -> None:
    settings = {"max_epochs": 6, "learning_rate": 0.1, "patience": 0}
    found = run(valid=world.valid, refit=True, train=settings)
    first = run(valid=world.valid, train=settings)
    assert (found.curve, found.best_epoch) == (first.curve, first.best_epoch)
    assert 0 < found.best_epoch < 5, "first or last is best: the test shows little"
    everything = pd.concat([world.train, world.valid], ignore_index=True)
    again = small_train(**(settings | {"max_epochs": found.best_epoch + 1}))
    data = prepare_fit(everything, None, None, None, Specs(), small_model(), again)
    expected = fit_scorer(data).model.scorer.state_dict()
    refitted = found.model.scorer.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in refitted.items() if name != "memory.weights")


def test_a_refit_counts_transitions_anew_and_keeps_the_weights_chosen_on_valid(run: Any, world: Any) -> None:
    settings = {"max_epochs": 2, "learning_rate": 1e-12}
    first, found = (run(valid=world.valid, refit=refit, train=settings) for refit in (False, True))
    old, new = first.model.scorer.memory, found.model.scorer.memory
    assert not torch.equal(old.weights, torch.full((2,), 0.3)), "the weights are those of a model without valid"
    assert torch.equal(new.weights, old.weights)
    everything = pd.concat([world.train, world.valid], ignore_index=True)
    counted = count_transitions(HistoryStore.from_frame(everything, found.model.blueprint.table.vocabulary), steps=1)
    np.testing.assert_array_equal(new.tables[0].items, counted.items)
    np.testing.assert_allclose(new.tables[0].shares, counted.shares, rtol=1e-6)
    assert new.tables[0].shares.sum() > old.tables[0].shares.sum()


def test_a_refit_knows_the_items_of_valid(run: Any, world: Any) -> None:
    valid = world.valid.assign(item_id=world.valid["item_id"].where(world.valid["user_id"] != "u00", "brand new"))
    found = run(valid=valid, refit=True)
    assert "brand new" in found.model.blueprint.table.vocabulary
    assert "brand new" not in run(valid=valid).model.blueprint.table.vocabulary


def test_observers_are_told_of_the_first_fit_only(run: Any, world: Any, new_witness: Any) -> None:
    witness = new_witness()
    run(valid=world.valid, refit=True, observers=[witness], train={"max_epochs": 2})
    assert [step for step, told in witness.epochs if "train/loss" in told] == [0, 1]


def test_a_refit_has_checkpoints_of_its_own(run: Any, world: Any, tmp_path: Path) -> None:
    first = run(valid=world.valid, refit=True, checkpoint_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.ckpt")) == ["best.ckpt", "last.ckpt", "last.ckpt"]
    again = run(valid=world.valid, refit=True, checkpoint_dir=tmp_path, resume=True)
    mine = again.model.scorer.state_dict()
    assert all(torch.equal(value, mine[name]) for name, value in first.model.scorer.state_dict().items())


def test_a_refit_of_an_order_goes_on_counting(run: Any, world: Any) -> None:
    from recattn.schema import read_interactions

    train, valid = (read_interactions(frame, time="order") for frame in (world.train, world.valid))
    found = run(log=train, valid=valid, refit=True, model={"time": "order"})
    assert found.model.blueprint.config.time == "order"


def test_a_refit_needs_valid_and_no_trainer(run: Any, world: Any, quiet_trainer: Any) -> None:
    with pytest.raises(ConfigError, match="refit=True needs valid: the best number of epochs is found on it"):
        run(refit=True)
    with pytest.raises(ConfigError, match="refit=True sets the number of epochs itself; leave trainer out"):
        run(refit=True, valid=world.valid, trainer=quiet_trainer(max_epochs=1))


def test_resuming_needs_a_folder(run: Any) -> None:
    with pytest.raises(ConfigError, match="resume=True needs checkpoint_dir: the folder with the checkpoints"):
        run(resume=True)


def test_observers_and_trainers_that_are_none_are_refused_before_the_work(run: Any) -> None:
    for observers in (["mlflow"], contextlib.nullcontext(), [contextlib.nullcontext()]):
        with pytest.raises(ConfigError, match=r"observers must be a list of observers, got .*pass observers=\[run\]"):
            run(observers=observers)
    with pytest.raises(ConfigError, match=r"trainer must be a lightning\.Trainer, got 'gpu' of builtins\. Pass"):
        run(trainer="gpu")
