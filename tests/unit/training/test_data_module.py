"""Tests of the batches of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from recattn.training import DataModule, Validation


def module_of(data: Any, **named: Any) -> DataModule:
    return DataModule(data.assembler, data.blueprint.table, data.blueprint.train, data.validation, **named)


def test_every_interaction_is_a_target_once_an_epoch(prepared: Callable[..., Any]) -> None:
    data = prepared(max_history=3, window_overlap=0.4)
    batches = list(module_of(data).train_dataloader())
    targets = torch.cat([batch.targets[batch.targets > 0] for batch in batches])
    assert sorted(targets.tolist()) == sorted(data.assembler.store.items.tolist())


def test_batches_hang_on_seed_and_epoch(prepared: Callable[..., Any]) -> None:
    def first(seed: int, epoch: int) -> list[int]:
        loader = module_of(prepared(seed=seed)).train_dataloader()
        loader.dataset.set_epoch(epoch)
        return [*loader.dataset[0].targets.flatten().tolist(), *loader.dataset[0].candidates.tolist()]

    assert first(1, 0) == first(1, 0)
    assert first(1, 0) != first(1, 1)
    assert first(1, 0) != first(2, 0)


def test_only_items_that_can_be_recommended_are_drawn_as_negatives(prepared: Callable[..., Any]) -> None:
    data = prepared(num_negatives=500)
    recommendable = data.blueprint.table.recommendable.copy()
    recommendable[[3, 5]] = False
    table = replace(data.blueprint.table, recommendable=recommendable)
    batch = next(iter(DataModule(data.assembler, table, data.blueprint.train).train_dataloader()))
    assert set(batch.candidates.tolist()) == set(np.flatnonzero(recommendable).tolist())


def test_without_validation_there_is_nothing_to_validate(prepared: Callable[..., Any]) -> None:
    assert module_of(prepared()).val_dataloader() == []


def test_workers_give_the_same_batches_in_the_same_order(prepared: Callable[..., Any]) -> None:
    data = prepared(valid=True)
    alone, shared = module_of(data), module_of(data, num_workers=2)
    for mine, theirs in zip(alone.train_dataloader(), shared.train_dataloader(), strict=True):
        assert torch.equal(mine.targets, theirs.targets)
        assert torch.equal(mine.candidates, theirs.candidates)


def test_a_sample_keeps_each_request_with_its_answers(prepared: Callable[..., Any]) -> None:
    whole = prepared(valid=True, valid_target="all").validation
    part = whole.sample(5, seed=1)
    assert len(part.requests) == 5
    places = [whole.requests.user_ids.tolist().index(user) for user in part.requests.user_ids]
    assert places == sorted(places)
    for row, place in enumerate(places):
        mine = part.truth[part.offsets[row] : part.offsets[row + 1]]
        np.testing.assert_array_equal(mine, whole.truth[whole.offsets[place] : whole.offsets[place + 1]])
        assert part.requests.stops[row] == whole.requests.stops[place]


def test_a_sample_hangs_on_its_seed_alone(prepared: Callable[..., Any]) -> None:
    whole: Validation = prepared(valid=True).validation

    def users(seed: int) -> list[Any]:
        return whole.sample(6, seed).requests.request_ids.tolist()

    np.random.default_rng().random()
    assert users(1) == users(1)
    assert users(1) != users(2)


def test_a_sample_of_more_than_there_are_takes_all(prepared: Callable[..., Any]) -> None:
    whole = prepared(valid=True).validation
    assert whole.sample(None, 0) is whole
    assert whole.sample(10_000, 0) is whole


def test_the_module_samples_by_its_settings(prepared: Callable[..., Any]) -> None:
    assert len(module_of(prepared(valid=True, valid_requests=7)).validation.requests) == 7
