"""Tests of what a fitted model is made of."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
import torch

from recattn.config import Categorical
from recattn.dataset.features import FittedFeatures
from recattn.inference.model import FittedModel, encoder


def test_a_blueprint_builds_what_chance_makes_of_it(model: FittedModel) -> None:
    def built(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return model.blueprint.build().state_dict()

    first, again, other = built(0), built(0), built(1)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["items.ids.weight"], other["items.ids.weight"])
    assert first.keys() == model.scorer.state_dict().keys()


def test_sizes_follow_the_plan(model: FittedModel) -> None:
    plan, weights = model.blueprint, model.blueprint.build().state_dict()
    assert weights["items.ids.weight"].shape == (2 + 12, plan.config.dim)  # padding, cold, trained
    assert weights["items.encoder.categorical.0.weight"].shape == (2 + 3, plan.config.dim)
    assert weights["items.encoder.multi.0.weight"].shape == (2 + 3, plan.config.dim)
    assert weights["items.encoder.numeric.weight"].shape == (plan.config.dim, 2)
    assert weights["history.behaviour.weight"].shape == (1 + 2, plan.config.dim)
    assert weights["user.categorical.0.weight"].shape == (2 + 2, plan.config.dim)
    assert weights["context.numeric.weight"].shape == (plan.config.dim, 2)
    assert float(weights["time_scale"]) == pytest.approx(plan.time_scale)


def test_cold_items_share_a_row_and_differ_by_their_attributes(model: FittedModel) -> None:
    table, items = model.blueprint.table, model.scorer.items
    codes = torch.from_numpy(table.vocabulary.encode(["i12", "i13"])).long()
    with torch.inference_mode():
        first, second = items(codes)
        assert items.biases(codes).unique().numel() == 1
    assert items.id_rows[codes].tolist() == [1, 1]
    assert not torch.allclose(first, second)


def test_a_blueprint_without_behaviours_has_no_table_for_them(model: FittedModel) -> None:
    plan = dataclasses.replace(model.blueprint, behaviours=None)
    assert "history.behaviour.weight" not in plan.build().state_dict()


def test_only_items_that_can_be_recommended_count_in_training(model: FittedModel) -> None:
    recommendable = model.blueprint.table.recommendable.copy()
    recommendable[4] = False
    table = dataclasses.replace(model.blueprint.table, recommendable=recommendable)
    built = dataclasses.replace(model.blueprint, table=table).build()
    assert built.items.trainable.tolist() == recommendable.tolist()


def test_no_features_need_no_encoder(model: FittedModel) -> None:
    assert encoder(FittedFeatures("users"), 8) is None
    made = encoder(FittedFeatures.fit([Categorical("a")], pd.DataFrame({"a": ["x", "y", "x"]}), what="users"), 8)
    assert made is not None
    assert made.categorical[0].weight.shape == (2 + 2, 8)
