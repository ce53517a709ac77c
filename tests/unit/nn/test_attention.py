"""Tests of attention of a history over itself and of candidates over a history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recattn.nn.attention import (
    BoundedTargetAttention,
    Keys,
    SelfAttention,
    TargetAttention,
    View,
    rotated,
    split_heads,
)

MASK = torch.tensor([[True, True, True, True, False], [True, False, True, True, True], [False] * 5])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def itself(stirred: Callable[..., Any]) -> SelfAttention:
    return stirred(SelfAttention(6, 2)).double().eval()


@pytest.fixture(params=[TargetAttention, BoundedTargetAttention])
def target(request: pytest.FixtureRequest, stirred: Callable[..., Any]) -> TargetAttention:
    return stirred(request.param(6, 2, timed=True)).double().eval()


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
    x = random(3, 5, 6)
    for bias in (random(3, 2, 5, 5, seed=1), None):
        got = itself(x, mask, bias).detach().numpy()
        for b in range(3):
            own = None if bias is None else bias[b].tolist()
            wanted = loops.self_attention(list(x[b].numpy()), mask[b].tolist(), own, loops.weights_of(itself), "", 2)
            np.testing.assert_allclose(got[b][mask[b]], wanted[mask[b]], atol=1e-12)


def test_histories_may_share_a_bias(itself: SelfAttention) -> None:
    x, bias = random(3, 5, 6), random(1, 2, 5, 5, seed=1)
    own = itself(x, MASK, bias.expand(3, -1, -1, -1))
    torch.testing.assert_close(itself(x, MASK, bias), own, rtol=0, atol=1e-13)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bias", [random(1, 2, 5, 5, seed=1), None], ids=["bias", "no bias"])
def test_an_interaction_does_not_look_at_later_ones(
    bias: Tensor | None, training: bool, stirred: Callable[..., Any]
) -> None:
    itself = stirred(SelfAttention(6, 2)).double().train(training)
    x = random(1, 5, 6)
    other = torch.cat([x[:, :3], random(1, 2, 6, seed=7)], dim=1)
    mask = torch.ones(1, 5, dtype=torch.bool)
    torch.testing.assert_close(itself(other, mask, bias)[:, :3], itself(x, mask, bias)[:, :3])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bias", [random(1, 2, 5, 5, seed=1), None], ids=["bias", "no bias"])
@pytest.mark.parametrize("mask", [[True, False, True, False, True], [True, True, True, False, False]])
def test_an_interaction_does_not_look_at_masked_ones(
    mask: list[bool], bias: Tensor | None, training: bool, stirred: Callable[..., Any]
) -> None:
    itself = stirred(SelfAttention(6, 2)).double().train(training)
    x, real = random(1, 5, 6), torch.tensor([mask])
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


def test_training_and_serving_attend_alike(itself: SelfAttention) -> None:
    x, bias = random(3, 5, 6), random(3, 2, 5, 5)
    for one in (bias, None):
        served, trained = itself.eval()(x, MASK, one), itself.train()(x, MASK, one)
        torch.testing.assert_close(trained, served, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_pairs_of_entries_are_turned_by_place_times_frequency(size: int, loops: Any) -> None:
    x = random(2, 3, 300, size)
    got = rotated(x)
    assert got.shape == x.shape
    for place in (0, 1, 17, 299):
        np.testing.assert_allclose(got[1, 2, place], loops.turned(x[1, 2, place].numpy(), place), atol=1e-12)
    torch.testing.assert_close(got.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(rotated(x.float()), got.float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_turned_logits_depend_on_distance_only(size: int) -> None:
    query, key = (random(size, seed=seed).expand(1, 1, 9, -1) for seed in (1, 2))
    logits = (rotated(query) @ rotated(key).transpose(2, 3))[0, 0]
    for distance in range(-8, 9):
        along = logits.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-12)
    firsts = torch.cat([logits[0], logits[1:, 0]])
    assert len(set(firsts.numpy().round(9).tolist())) == 17


def test_heads_of_an_odd_width_attend(stirred: Callable[..., Any], loops: Any) -> None:
    itself = stirred(SelfAttention(10, 2)).double()
    x, mask = random(1, 4, 10), torch.ones(1, 4, dtype=torch.bool)
    wanted = loops.self_attention(list(x[0].numpy()), [True] * 4, None, loops.weights_of(itself), "", 2)
    np.testing.assert_allclose(itself(x, mask).detach()[0], wanted, atol=1e-12)


def test_bounded_logits_are_cosines_times_a_temperature_that_stops_at_the_bound(stirred: Callable[..., Any]) -> None:
    bounded = stirred(BoundedTargetAttention(6, 2, timed=True)).double()
    with torch.no_grad():
        bounded.log_temperature.copy_(torch.tensor([0.7, 9.0]))
    keys = bounded.keys(1e3 * random(3, 5, 6)).keys_BHTK
    torch.testing.assert_close(keys.norm(dim=-1), torch.ones(3, 2, 6).double())
    queries = bounded.queries(1e-3 * random(4, 6, seed=1))
    tau = torch.tensor([0.7, np.log(20.0)]).double().exp()
    torch.testing.assert_close(queries.norm(dim=-1), tau[None, :, None].expand(1, 2, 4), rtol=1e-6, atol=0)
    assert float((queries @ keys.transpose(2, 3)).detach().abs().max()) <= bounded.BOUND * (1 + 1e-6)


def test_a_state_of_zeros_gives_no_nan_under_a_bound(stirred: Callable[..., Any]) -> None:
    bounded = stirred(BoundedTargetAttention(6, 2, timed=False)).double()
    states, candidates = torch.zeros(1, 5, 6).double().requires_grad_(), torch.zeros(2, 6).double().requires_grad_()
    seen = View(torch.tensor([0]), MASK[:1], torch.zeros(1, 5).double(), None)
    found = bounded(candidates, bounded.keys(states), seen)
    found.sum().backward()
    assert found.isfinite().all()
    for given in (states, candidates):
        assert given.grad is not None
        assert given.grad.isfinite().all()


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
@pytest.mark.parametrize("kind", [TargetAttention, BoundedTargetAttention])
def test_huge_slopes_give_no_nan(kind: Any, slope: float, stirred: Callable[..., Any]) -> None:
    target = stirred(kind(6, 2, timed=True))
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
    null = target.null_key
    if isinstance(target, BoundedTargetAttention):
        null = null / null.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(keys.keys_BHTK[1, :, 0], null, rtol=0, atol=1e-15)
    assert torch.equal(keys.values_BHTK[1, :, 0], target.null_value)
