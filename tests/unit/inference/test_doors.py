"""Tests of the way from a caller's frames to the batches of one model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.history import HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError
from recattn.inference.doors import make_assembler, open_history
from recattn.inference.model import Blueprint, FittedModel
from recattn.schema import DataWarning


@pytest.fixture
def plan(model: FittedModel) -> Blueprint:
    return model.blueprint


def test_histories_come_in_the_models_codes(plan: Blueprint, world: Any) -> None:
    store = open_history(plan, world.log)
    assert store.item_vocabulary is plan.table.vocabulary
    assert store.behaviour_vocabulary == plan.behaviours
    first = store.items[store.offsets[0] : store.offsets[1]]
    assert plan.table.vocabulary.decode(first).tolist() == [f"i{n:02}" for n in range(9)]


def test_a_store_is_recoded(plan: Blueprint, world: Any) -> None:
    other = Vocabulary.from_values("item_id", world.log["item_id"].iloc[::-1])
    kinds = Vocabulary("event_type", ["other", "buy", "view"])
    store = HistoryStore.from_frame(world.log, other, behaviours=kinds)
    expected = open_history(plan, world.log)
    found = open_history(plan, store)
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_array_equal(found.behaviours, expected.behaviours)


def test_what_the_model_does_not_know_is_counted(plan: Blueprint, world: Any, caplog: pytest.LogCaptureFixture) -> None:
    log = world.log.assign(
        item_id=world.log["item_id"].replace({"i03": "x", "i04": "y"}),
        event_type=world.log["event_type"].replace("buy", "borrow"),
    )
    with caplog.at_level(logging.INFO, logger="recattn"):
        store = open_history(plan, log)
    lost = int(world.log["item_id"].isin(["i03", "i04"]).sum())
    assert store.dropped == lost
    assert f"{lost} interactions of the history with items the model does not know are left out" in caplog.text
    view = plan.behaviours.encode(["view"])[0]
    assert set(np.unique(store.behaviours).tolist()) == {0, view}


def test_a_store_of_another_kind_of_time_is_refused(plan: Blueprint, world: Any) -> None:
    store = HistoryStore.from_frame(world.log, plan.table.vocabulary, time="order")
    with pytest.raises(DataError, match=r"history is a store with time='order', but time='timestamp' is asked for"):
        open_history(plan, store)


def test_users_of_the_frame_have_their_attributes_and_others_miss_them(plan: Blueprint, world: Any) -> None:
    assembler = make_assembler(plan, open_history(plan, world.log), world.users)
    assert len(assembler.users) == 11
    assert assembler.users.rows(["u03", "u11"]).tolist() == [3, -1]
    with pytest.warns(DataWarning, match="no users frame is given"):
        none = make_assembler(plan, open_history(plan, world.log), None)
    assert len(none.users) == 0


def test_users_may_be_a_file(plan: Blueprint, world: Any, tmp_path: Path) -> None:
    world.users.to_csv(tmp_path / "users.csv", index=False)
    assembler = make_assembler(plan, open_history(plan, world.log), tmp_path / "users.csv")
    assert len(assembler.users) == 11


def test_attributes_that_differ_from_the_models_are_refused(plan: Blueprint, world: Any) -> None:
    store = open_history(plan, world.log)
    with pytest.raises(DataError, match=r"users has features that differ from the model's: no column 'plan'"):
        make_assembler(plan, store, world.users.drop(columns="plan"))
    with pytest.raises(DataError, match=r"feature 'age' of users has text where numbers belong"):
        make_assembler(plan, store, world.users.assign(age="old"))
    with pytest.raises(
        DataError, match=r"feature 'plan' of users holds numbers .* but held text .*differ from the model's"
    ):
        make_assembler(plan, store, world.users.assign(plan=range(11)))


def test_a_model_without_features_takes_no_notice_of_attributes(plain: Any, world: Any) -> None:
    plan = plain._fitted().blueprint
    assembler = make_assembler(plan, open_history(plan, world.log), pd.DataFrame({"anything": [1]}))
    assert assembler.users is None
    assert assembler.context is None


def test_users_whose_ids_are_of_another_kind_than_those_of_the_history_are_refused(plan: Blueprint, world: Any) -> None:
    with pytest.raises(DataError, match=r"user_id is int in users \(such as 0\) but str in history"):
        make_assembler(plan, open_history(plan, world.log), world.users.assign(user_id=range(11)))


def test_users_that_are_not_given_are_told(plan: Blueprint, world: Any) -> None:
    with pytest.warns(DataWarning, match=r"fitted with attributes of users \('plan', 'age'\) and no users frame is"):
        make_assembler(plan, open_history(plan, world.log), None)
