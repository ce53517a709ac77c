"""Tests of attention of a history over itself and of candidates over a history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recattn.nn.attention import Keys, SelfAttention, TargetAttention, View, split_heads

MASK = torch.tensor([[True, True, True, True, False], [True, False, True, True, True], [False] * 5])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def itself(stirred: Callable[..., Any]) -> SelfAttention:
    return stirred(SelfAttention(6, 2, dropout=0.5)).double().eval()


@pytest.fixture
def target(stirred: Callable[..., Any]) -> TargetAttention:
    return stirred(TargetAttention(6, 2, timed=True)).double().eval()


def view(mask: Tensor = MASK, rows: tuple[int, ...] = (0, 1, 2)) -> View:
    ages = torch.arange(mask.shape[1] - 1, -1, -1).double().expand(len(mask), -1)
    return View(torch.tensor(rows), mask, ages, random(*mask.shape, seed=9).abs())


def test_heads_are_slices_of_the_width_side_by_side() -> None:
    x = torch.arange(24.0).reshape(1, 2, 12)
    heads = split_heads(x, 3)
    assert heads.shape == (1, 3, 2, 4)
    assert torch.equal(heads[0, 1, 0], x[0, 0, 4:8])
    assert torch.equal(split_heads(x[0], 3), heads)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("lengths", [(5, 4, 1), None])
def test_self_attention_is_a_softmax_over_the_real_interactions_up_to_each(
    lengths: tuple[int, ...] | None, training: bool, stirred: Callable[..., Any], loops: Any
) -> None:
    itself = stirred(SelfAttention(6, 2)).double().train(training)
    mask = MASK if lengths is None else torch.arange(5) < torch.tensor(lengths)[:, None]
    x, bias = random(3, 5, 6), random(3, 2, 5, 5, seed=1)
    got = itself(x, mask, bias).detach().numpy()
    for b in range(3):
        wanted = loops.self_attention(
            list(x[b].numpy()), mask[b].tolist(), bias[b].tolist(), loops.weights_of(itself), "", 2
        )
        np.testing.assert_allclose(got[b][mask[b]], wanted[mask[b]], atol=1e-12)


def test_histories_may_share_a_bias(itself: SelfAttention) -> None:
    x, bias = random(3, 5, 6), random(1, 2, 5, 5, seed=1)
    own = itself(x, MASK, bias.expand(3, -1, -1, -1))
    torch.testing.assert_close(itself(x, MASK, bias), own, rtol=0, atol=1e-13)


@pytest.mark.parametrize("training", [False, True])
def test_an_interaction_does_not_look_at_later_ones(training: bool, stirred: Callable[..., Any]) -> None:
    itself = stirred(SelfAttention(6, 2)).double().train(training)
    x, bias = random(1, 5, 6), random(1, 2, 5, 5, seed=1)
    other = torch.cat([x[:, :3], random(1, 2, 6, seed=7)], dim=1)
    mask = torch.ones(1, 5, dtype=torch.bool)
    torch.testing.assert_close(itself(other, mask, bias)[:, :3], itself(x, mask, bias)[:, :3])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mask", [[True, False, True, False, True], [True, True, True, False, False]])
def test_an_interaction_does_not_look_at_masked_ones(
    mask: list[bool], training: bool, stirred: Callable[..., Any]
) -> None:
    itself = stirred(SelfAttention(6, 2)).double().train(training)
    x, bias, real = random(1, 5, 6), random(1, 2, 5, 5, seed=1), torch.tensor([mask])
    other = torch.where(real[..., None], x, 99.0)
    torch.testing.assert_close(itself(other, real, bias)[real], itself(x, real, bias)[real])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "mask", [[False] * 5, [False, True, True, True, True], [False, False, True, False, False]], ids=str
)
def test_a_place_that_sees_nothing_real_gives_no_nan_and_no_nan_gradient(
    mask: list[bool], training: bool, stirred: Callable[..., Any]
) -> None:
    itself = stirred(SelfAttention(6, 2)).double().train(training)
    x = random(1, 5, 6).requires_grad_()
    out = itself(x, torch.tensor([mask]), random(1, 2, 5, 5))
    out.sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in itself.parameters() if weight.grad is not None)


def test_attention_weights_are_dropped_only_while_training(itself: SelfAttention) -> None:
    x, bias = random(1, 5, 6), random(1, 2, 5, 5)
    assert torch.equal(itself(x, MASK[:1], bias), itself(x, MASK[:1], bias))
    itself.train()
    torch.manual_seed(0)
    assert not torch.equal(itself(x, MASK[:1], bias), itself(x, MASK[:1], bias))


def test_target_attention_is_a_softmax_over_what_is_seen_and_the_null_key(target: TargetAttention, loops: Any) -> None:
    states, candidates, seen = random(3, 5, 6), random(4, 6, seed=1), view()
    got = target(candidates, target.keys(states), seen).detach().numpy()
    assert got.shape == (3, 4, 6)
    assert seen.time_ages is not None
    for r in range(3):
        places = [i for i in range(5) if MASK[r, i]]
        past = [states[r, i].numpy() for i in places]
        ages = [(float(seen.ages[r, i]), float(seen.time_ages[r, i])) for i in places]
        for s in range(4):
            wanted = loops.look(candidates[s].numpy(), past, ages, loops.weights_of(target), "", 2)
            np.testing.assert_allclose(got[r, s], wanted, atol=1e-12)


def test_shared_candidates_and_the_same_candidates_a_request_find_the_same(target: TargetAttention) -> None:
    keys, candidates = target.keys(random(3, 5, 6)), random(4, 6, seed=1)
    torch.testing.assert_close(
        target(candidates, keys, view()), target(candidates.expand(3, -1, -1), keys, view()), rtol=0, atol=1e-13
    )


def test_requests_may_share_one_history_and_see_different_parts_of_it(target: TargetAttention) -> None:
    states, candidates = random(1, 5, 6), random(4, 6, seed=1)
    mask = torch.tensor([[True] * n + [False] * (5 - n) for n in (0, 2, 5)])
    together = target(candidates, target.keys(states), view(mask, rows=(0, 0, 0)))
    apart = target(candidates, target.keys(states.expand(3, -1, -1)), view(mask))
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-13)


def test_what_is_not_visible_does_not_count(target: TargetAttention) -> None:
    states, candidates = random(3, 5, 6), random(4, 6, seed=1)
    other = torch.where(MASK[..., None], states, 99.0)
    found = [target(candidates, target.keys(one), view()) for one in (states, other)]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_an_empty_history_finds_the_null_value(target: TargetAttention) -> None:
    found = target(random(4, 6, seed=1), target.keys(random(3, 5, 6)), view())[2]
    torch.testing.assert_close(found, target.null_value.flatten().expand(4, -1))


def test_the_null_key_takes_part_in_every_softmax(target: TargetAttention) -> None:
    before = target(random(4, 6, seed=1), target.keys(random(3, 5, 6)), view())
    with torch.no_grad():
        target.null_value += 1
    after = target(random(4, 6, seed=1), target.keys(random(3, 5, 6)), view())
    assert (after - before > 1e-6).all()


def test_a_candidate_finds_the_same_whatever_stands_beside_it(target: TargetAttention) -> None:
    keys, candidates = target.keys(random(3, 5, 6)), random(4, 6, seed=1)
    whole = target(candidates, keys, view())
    torch.testing.assert_close(target(candidates[2:3], keys, view()), whole[:, 2:3], rtol=0, atol=1e-13)
    mixed = torch.stack([random(6, seed=5) * 50, candidates[2], candidates[2]])
    torch.testing.assert_close(target(mixed, keys, view())[:, 1:2], whole[:, 2:3], rtol=0, atol=1e-13)


@pytest.mark.parametrize("slope", [1e6, -1e6, 1e30])
def test_huge_slopes_give_no_nan(slope: float, stirred: Callable[..., Any]) -> None:
    target = stirred(TargetAttention(6, 2, timed=True))
    with torch.no_grad():
        target.recency.order_slope.fill_(slope)
        target.recency.time_slope.fill_(slope)
    states = random(3, 5, 6).float().requires_grad_()
    seen = view()
    assert seen.time_ages is not None
    seen = seen._replace(ages=seen.ages.float(), time_ages=seen.time_ages.float())
    found = target(random(4, 6, seed=1).float(), target.keys(states), seen)
    found.sum().backward()
    assert found.isfinite().all()
    assert states.grad is not None
    assert states.grad.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in target.parameters() if weight.grad is not None)


def test_fully_masked_requests_give_no_nan_gradient(target: TargetAttention) -> None:
    states = random(3, 5, 6).requires_grad_()
    target(random(4, 6), target.keys(states), view(torch.zeros_like(MASK))).sum().backward()
    assert states.grad is not None
    assert not states.grad.any()
    assert target.null_value.grad is not None
    assert target.null_value.grad.isfinite().all()


def test_keys_hold_the_null_pair_first(target: TargetAttention) -> None:
    keys: Keys = target.keys(random(3, 5, 6))
    assert keys.keys_BHTK.shape == keys.values_BHTK.shape == (3, 2, 6, 3)
    assert torch.equal(keys.keys_BHTK[1, :, 0], target.null_key)
    assert torch.equal(keys.values_BHTK[1, :, 0], target.null_value)
