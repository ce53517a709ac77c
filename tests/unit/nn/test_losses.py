"""Tests of the loss functions of logits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recattn.nn import losses
from recattn.nn.losses import bce_loss, full_softmax_loss, sampled_softmax_loss


def random(*shape: int, seed: int = 0, size: float = 1.0) -> Tensor:
    return size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_cross_entropy(logits: list[float], target: int) -> float:
    top = max(logits)
    return math.log(sum(math.exp(logit - top) for logit in logits)) + top - logits[target]


def inputs(positions: int = 7, items: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    targets = torch.randint(items, (positions,), generator=torch.Generator().manual_seed(3))
    return random(positions, 4), random(items, 4, seed=1), random(items, seed=2), targets


@pytest.mark.parametrize("chunk", [1, 3, 7, 1024])
def test_full_softmax_is_the_mean_cross_entropy_whatever_the_chunk(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK", chunk)
    x, items, biases, targets = inputs()
    wanted = [
        plain_cross_entropy([float(x[p].double() @ items[n].double() + biases[n]) for n in range(5)], int(targets[p]))
        for p in range(7)
    ]
    assert float(full_softmax_loss(x, items, biases, targets)) == pytest.approx(sum(wanted) / 7, rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_the_gradient_gathered_by_chunks_is_that_of_autograd(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK", chunk)
    ours = [tensor.requires_grad_() for tensor in inputs()[:3]]
    theirs = [tensor.detach().double().requires_grad_() for tensor in ours]
    targets = inputs()[3]
    (3 * full_softmax_loss(*ours, targets)).backward()
    (3 * torch.nn.functional.cross_entropy(theirs[0] @ theirs[1].T + theirs[2], targets)).backward()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-7)


def test_the_order_of_positions_changes_neither_loss_nor_gradient() -> None:
    x, items, biases, targets = inputs()
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    grads = []
    for rows in (torch.arange(7), order):
        weight = items.clone().requires_grad_()
        loss = full_softmax_loss(x[rows], weight, biases, targets[rows])
        grads.append(torch.autograd.grad(loss, weight)[0])
        assert float(loss.detach()) == pytest.approx(float(full_softmax_loss(x, items, biases, targets)), rel=1e-6)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-5, atol=1e-7)


def test_an_item_left_out_by_its_bias_takes_no_part_and_gets_no_gradient() -> None:
    x, items, biases, targets = inputs()
    targets = targets % 3
    left_out = biases.index_fill(0, torch.tensor([3, 4]), -torch.inf)
    weight, bias = items.clone().requires_grad_(), left_out.clone().requires_grad_()
    loss = full_softmax_loss(x, weight, bias, targets)
    assert float(loss.detach()) == pytest.approx(float(full_softmax_loss(x, items[:3], biases[:3], targets)), rel=1e-6)
    loss.backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert not weight.grad[3:].any()
    assert not bias.grad[3:].any()
    assert weight.grad[:3].isfinite().all()


def test_large_logits_neither_overflow_nor_vanish() -> None:
    x, items, biases, targets = inputs()
    weight = (items * 500).requires_grad_()
    loss = full_softmax_loss(x * 100, weight, biases, targets)
    loss.backward()
    assert loss.isfinite()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("chunk", [3, 256])
def test_under_autocast_products_are_bfloat16_and_sums_float32(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK", chunk)
    targets = torch.randint(50, (40,), generator=torch.Generator().manual_seed(3))
    ours = [
        random(40, 16).requires_grad_(),
        random(50, 16, seed=1).requires_grad_(),
        random(50, seed=2).requires_grad_(),
    ]
    theirs = [tensor.detach().double().requires_grad_() for tensor in ours]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = full_softmax_loss(*ours, targets)
        assert losses.product_dtype(torch.device("cpu")) == torch.bfloat16
    wanted = torch.nn.functional.cross_entropy(theirs[0] @ theirs[1].T + theirs[2], targets)
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-2)
    assert float(loss.detach()) != pytest.approx(float(wanted.detach()), rel=1e-6)
    loss.backward()
    wanted.backward()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.dtype == torch.float32
        assert float((one.grad - other.grad).norm()) <= 0.02 * float(other.grad.norm())


def test_float16_autocast_leaves_the_products_in_float32() -> None:
    x, items, biases, targets = inputs()
    with torch.autocast("cpu", dtype=torch.float16):
        half = full_softmax_loss(x, items, biases, targets)
    assert float(half) == float(full_softmax_loss(x, items, biases, targets))


def test_an_item_left_out_stays_out_in_bfloat16() -> None:
    x, items, biases, targets = inputs()
    weight = items.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = full_softmax_loss(x * 50, weight, biases.index_fill(0, torch.tensor([3, 4]), -torch.inf), targets % 3)
    loss.backward()
    assert loss.isfinite()
    assert weight.grad is not None
    assert not weight.grad[3:].any()
    assert weight.grad.isfinite().all()


def test_no_positions_have_no_loss_and_no_gradient() -> None:
    x, items, biases, targets = inputs()
    weight = items.clone().requires_grad_()
    loss = full_softmax_loss(x[:0], weight, biases, targets[:0])
    loss.backward()
    assert float(loss.detach()) == 0
    assert weight.grad is not None
    assert not weight.grad.any()


def test_sampled_softmax_takes_the_log_of_the_expected_count_off_each_negative_but_not_off_the_target() -> None:
    target, negatives, counts = random(3).double(), random(3, 4, seed=1).double(), random(4, seed=2).double()
    hits = torch.tensor([[False] * 4, [False, True, False, True], [True] * 4])
    wanted = [
        plain_cross_entropy(
            [float(target[p])] + [float(negatives[p, s] - counts[s]) for s in range(4) if not hits[p, s]], 0
        )
        for p in range(3)
    ]
    got = sampled_softmax_loss(target[:, None], negatives, counts, hits)
    assert float(got) == pytest.approx(sum(wanted) / 3, rel=1e-6)
    assert wanted[2] == 0


def test_sampled_softmax_over_every_other_item_once_is_the_full_softmax() -> None:
    x, items, biases, targets = inputs()
    logits = x @ items.T + biases
    hits = torch.arange(5) == targets[:, None]
    got = sampled_softmax_loss(logits.gather(1, targets[:, None]), logits, torch.zeros(5), hits)
    assert float(got) == pytest.approx(float(full_softmax_loss(x, items, biases, targets)), rel=1e-6)


def test_own_items_beside_the_target_count_as_they_are() -> None:
    own, negatives, counts = random(2, 3).double(), random(2, 4, seed=1).double(), random(4, seed=2).double()
    known = torch.tensor([[False, True, False, False], [False] * 4])
    wanted = [
        plain_cross_entropy(
            own[p].tolist() + [float(negatives[p, s] - counts[s]) for s in range(4) if not known[p, s]], 0
        )
        for p in range(2)
    ]
    assert float(sampled_softmax_loss(own, negatives, counts, known)) == pytest.approx(sum(wanted) / 2, rel=1e-6)


def test_a_negative_drawn_twice_as_often_counts_half() -> None:
    target, once = random(3), random(3, 4, seed=1)
    none = torch.zeros(3, 4, dtype=torch.bool)
    twice = torch.cat([once, once], dim=1)
    counts = torch.full((8,), math.log(2))
    assert float(sampled_softmax_loss(target[:, None], twice, counts, none.repeat(1, 2))) == pytest.approx(
        float(sampled_softmax_loss(target[:, None], once, torch.zeros(4), none)), rel=1e-6
    )


def test_a_negative_that_is_the_target_gets_no_gradient_from_either_sampled_loss() -> None:
    hits = torch.tensor([[True, False], [True, True]])
    for sampled in (True, False):
        target, negatives = random(2).requires_grad_(), random(2, 2, seed=1).requires_grad_()
        if sampled:
            sampled_softmax_loss(target[:, None], negatives, torch.zeros(2), hits).backward()
        else:
            bce_loss(target, negatives, hits).backward()
        assert negatives.grad is not None
        assert not negatives.grad[hits].any()
        assert (negatives.grad[~hits] > 0).all()
        assert negatives.grad.isfinite().all()


def test_bce_is_one_for_the_target_and_zero_for_the_mean_negative() -> None:
    target, negatives = random(3).double(), random(3, 4, seed=1).double()
    hits = torch.tensor([[False] * 4, [False, True, False, True], [True] * 4])

    def surprise(logit: Tensor, label: int) -> float:
        chance = 1 / (1 + math.exp(-float(logit)))
        return -math.log(chance if label else 1 - chance)

    positive = sum(surprise(target[p], 1) for p in range(3)) / 3
    others = [surprise(negatives[p, s], 0) for p in range(3) for s in range(4) if not hits[p, s]]
    assert float(bce_loss(target, negatives, hits)) == pytest.approx(positive + sum(others) / len(others), rel=1e-9)


def test_bce_with_nothing_but_hits_is_that_of_the_targets() -> None:
    hits = torch.ones(2, 3, dtype=torch.bool)
    loss = bce_loss(torch.zeros(2), random(2, 3), hits)
    assert float(loss) == pytest.approx(math.log(2))
