"""Tests of weights taken over for a new catalog."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.config import Categorical, Multi, Numeric
from recattn.dataset.tables import ItemTable
from recattn.dataset.transitions import count_transitions
from recattn.errors import ConfigError
from recattn.inference.model import FittedModel
from recattn.training.fit import fit_scorer
from recattn.training.prepare import FitData, Specs, prepare_fit
from recattn.training.warm_start import warm_scorer

SPECS = Specs((Categorical("kind"), Numeric("price"), Multi("tags")), (Categorical("plan"),), (Categorical("device"),))


@pytest.fixture(scope="module")
def prepare(small_model: Callable[..., Any], small_train: Callable[..., Any]) -> Callable[..., FitData]:
    def run(log: pd.DataFrame, items: pd.DataFrame, users: pd.DataFrame, specs: Specs = SPECS, **model: Any) -> FitData:
        return prepare_fit(log, None, items, users, specs, small_model(**model), small_train(seed=8))

    return run


@pytest.fixture(scope="module")
def known(prepare: Callable[..., FitData], world: Any) -> FittedModel:
    """A model of the shared world with weights unlike any fresh ones."""
    plan = prepare(world.train, world.items, world.users).blueprint
    scorer = plan.build()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in scorer.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
            if name == "items.ids.weight":
                weight[0] = 0  # padding
            elif ".categorical." in name or ".multi." in name:
                weight[1] = 0  # values unseen in training
    scorer.memory.weights.copy_(torch.tensor([0.8, 0.15, 0.4]))
    return FittedModel(plan, scorer)


def row_of(table: ItemTable, item: str) -> int:
    return int(table.id_row[table.vocabulary.encode([item])[0]])


def test_nothing_changes_where_nothing_is_new(known: FittedModel, prepare: Any, world: Any) -> None:
    plan = prepare(world.train, world.items, world.users).blueprint
    warm = warm_scorer(known, plan).state_dict()
    old = known.scorer.state_dict()
    assert all(torch.equal(value, old[name]) for name, value in warm.items() if name != "items.bias.weight")
    assert torch.equal(warm["items.bias.weight"][1:], old["items.bias.weight"][1:])


@pytest.fixture(scope="module")
def grown(prepare: Callable[..., FitData], world: Any) -> FitData:
    """Items in another order, three gone from the log, two new, one cold one trained; new kinds of everything."""
    log = world.train[~world.train["item_id"].isin(["i00", "i01", "i02"])].iloc[::-1]
    more = pd.DataFrame(
        {
            "user_id": ["u00", "u01", "u02"],
            "item_id": ["new1", "new2", "i12"],
            "timestamp": log["timestamp"].max() + np.array([10, 20, 30]),
            "event_type": ["return", "view", "buy"],
            "device": ["watch", "phone", "desk"],
        }
    )
    items = pd.concat(
        [
            pd.DataFrame({"item_id": ["new1"], "kind": ["atlas"], "tags": ["a|y"], "price": [500.0]}),
            world.items.iloc[::-1],
        ]
    ).reset_index(drop=True)
    users = world.users.assign(plan=["family", *world.users["plan"].iloc[1:]])
    return prepare(pd.concat([log, more], ignore_index=True), items, users)


def test_rows_follow_their_item_id(known: FittedModel, grown: FitData) -> None:
    before, after = known.blueprint.table, grown.blueprint.table
    warm, old = warm_scorer(known, grown.blueprint).state_dict(), known.scorer.state_dict()
    fresh = fresh_scorer(grown)
    for name in ("items.ids.weight", "items.bias.weight"):
        for item in (f"i{number:02}" for number in range(3, 12)):
            assert torch.equal(warm[name][row_of(after, item)], old[name][row_of(before, item)]), item
        for item in ("new1", "new2", "i12"):
            assert torch.equal(warm[name][row_of(after, item)], fresh[name][row_of(after, item)]), item
        assert torch.equal(warm[name][1], old[name][1])
    assert row_of(after, "i03") != row_of(before, "i03")
    assert torch.equal(warm["items.ids.weight"][0], torch.zeros(8))


def test_rows_for_attention_follow_their_item_id(prepare: Any, world: Any, grown: FitData) -> None:
    def plan(data: FitData) -> Any:
        return replace(data.blueprint, config=replace(data.blueprint.config, keys="separate"))

    before, after = plan(prepare(world.train, world.items, world.users)), plan(grown)
    torch.manual_seed(1)
    known = FittedModel(before, before.build())
    warm, old = warm_scorer(known, after).state_dict(), known.scorer.state_dict()
    torch.manual_seed(8)
    name, fresh = "items.attention_ids.weight", after.build().state_dict()
    assert warm[name].shape == (2 + 12, 8)  # padding, cold, trained: three gone, three new
    for item in (f"i{number:02}" for number in range(3, 12)):
        assert torch.equal(warm[name][row_of(after.table, item)], old[name][row_of(before.table, item)]), item
    for item in ("new1", "new2", "i12"):
        assert torch.equal(warm[name][row_of(after.table, item)], fresh[name][row_of(after.table, item)]), item
    assert torch.equal(warm[name][1], old[name][1])
    assert not torch.equal(warm[name][1], fresh[name][1])


def fresh_scorer(data: FitData) -> dict[str, torch.Tensor]:
    torch.manual_seed(8)
    return data.blueprint.build().state_dict()


def places(fitted: Any, feature: int) -> dict[Any, int]:
    return {value: code for code, value in enumerate(fitted.features[feature].values, start=2)}


@pytest.mark.parametrize(
    ("weight", "part", "feature", "new"),
    [
        ("items.encoder.categorical.0.weight", "items", 0, {"atlas"}),
        ("items.encoder.multi.0.weight", "items", 2, {"a"}),
        ("user.categorical.0.weight", "users", 0, {"family"}),
        ("context.categorical.0.weight", "context", 0, {"watch"}),
    ],
)
def test_rows_of_features_follow_their_value(
    known: FittedModel, grown: FitData, weight: str, part: str, feature: int, new: set[str]
) -> None:
    def fitted(plan: Any) -> Any:
        return plan.table.fitted if part == "items" else getattr(plan, part)

    warm = warm_scorer(known, grown.blueprint).state_dict()[weight]
    old, fresh = known.scorer.state_dict()[weight], fresh_scorer(grown)[weight]
    before, after = places(fitted(known.blueprint), feature), places(fitted(grown.blueprint), feature)
    assert set(after) - set(before) == new
    for value, code in after.items():
        assert torch.equal(warm[code], fresh[code] if value in new else old[before[value]]), value
    assert torch.equal(warm[0], old[0])


def test_rows_of_behaviours_follow_their_name(known: FittedModel, grown: FitData) -> None:
    name = "history.behaviour.weight"
    warm, old, fresh = warm_scorer(known, grown.blueprint).state_dict(), known.scorer.state_dict(), fresh_scorer(grown)
    before, after = known.blueprint.behaviours, grown.blueprint.behaviours
    assert torch.equal(warm[name][0], old[name][0])
    for kind in ("view", "buy"):
        assert torch.equal(warm[name][after.encode([kind])[0]], old[name][before.encode([kind])[0]])
    place = after.encode(["return"])[0]
    assert torch.equal(warm[name][place], fresh[name][place])


def test_all_other_weights_are_taken_over(known: FittedModel, grown: FitData) -> None:
    warm, old = warm_scorer(known, grown.blueprint).state_dict(), known.scorer.state_dict()
    tables = ("items.ids.", "items.bias.", ".categorical.", ".multi.", "history.behaviour.", "memory.tables.")
    others = [name for name in warm if not any(table in name for table in tables)]
    assert {"items.encoder.numeric.weight", "start", "time_scale", "deep_out.weight", "memory.weights"} <= set(others)
    assert all(torch.equal(warm[name], old[name]) for name in others)


def test_transitions_are_counted_anew_on_the_new_log(known: FittedModel, grown: FitData) -> None:
    known = replace(known, scorer=copy.deepcopy(known.scorer))
    before = grown.assembler.store.recode(known.blueprint.table.vocabulary)
    known.scorer.memory.fill(before)
    fitted = fit_scorer(grown, scorer=warm_scorer(known, grown.blueprint)).model.scorer
    counted = count_transitions(grown.assembler.store, steps=1)
    np.testing.assert_array_equal(fitted.memory.tables[0].offsets, counted.offsets)
    np.testing.assert_array_equal(fitted.memory.tables[0].items, counted.items)
    np.testing.assert_allclose(fitted.memory.tables[0].shares, counted.shares, rtol=1e-6)
    assert torch.equal(fitted.memory.weights, known.scorer.memory.weights)


def test_the_known_model_is_not_changed(known: FittedModel, grown: FitData) -> None:
    before = {name: value.clone() for name, value in known.scorer.state_dict().items()}
    with torch.no_grad():
        for weight in warm_scorer(known, grown.blueprint).parameters():
            weight.fill_(7.0)
    assert all(torch.equal(value, before[name]) for name, value in known.scorer.state_dict().items())


def test_another_model_config_is_refused(known: FittedModel, prepare: Any, world: Any) -> None:
    plan = prepare(world.train, world.items, world.users, dim=4).blueprint
    with pytest.raises(
        ConfigError, match=r"warm_start needs the ModelConfig the model was fitted with\. Set warm_start=F"
    ):
        warm_scorer(known, plan)


@pytest.mark.parametrize(
    "specs",
    [
        Specs(SPECS.items, SPECS.users, ()),
        Specs((Categorical("tags"), Numeric("price"), Multi("kind")), SPECS.users, SPECS.context),
        Specs(SPECS.items, (Categorical("age"),), SPECS.context),
    ],
)
def test_other_features_are_refused(known: FittedModel, prepare: Any, world: Any, specs: Specs) -> None:
    plan = prepare(world.train, world.items, world.users, specs).blueprint
    with pytest.raises(
        ConfigError, match=r"warm_start needs the features the model was fitted with\. Set warm_start=F"
    ):
        warm_scorer(known, plan)
