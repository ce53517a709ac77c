"""Tests of the additive biases from order and time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recattn.nn.bias import RecencyBias, TimeBias, time_bucket


def test_spans_of_time_fall_into_buckets_that_double(loops: Any) -> None:
    seconds = [-5, 0, 1, 2, 3, 6, 7, 86_400, 2**31 - 2, 2**31 - 1, 2**40, 2**62]
    buckets = time_bucket(torch.tensor(seconds))
    assert buckets.tolist() == [0, 0, 1, 1, 2, 2, 3, 16, 30, 31, 31, 31]
    assert buckets.tolist() == [loops.bucket(one) for one in seconds]
    assert buckets.dtype == torch.int64


def test_a_pair_has_the_bias_of_the_time_between_them(stirred: Callable[..., Any], loops: Any) -> None:
    bias = stirred(TimeBias(2)).double()
    times = torch.tensor([[10, 10, 500, 90_000, 90_001], [0, 7, 7, 7, 1]])
    got = bias(times).detach()
    assert got.shape == (2, 2, 5, 5)
    for b in range(2):
        for h in range(2):
            for i in range(5):
                for j in range(i + 1):
                    span = loops.bucket(int(times[b, i] - times[b, j]))
                    assert float(got[b, h, i, j]) == float(bias.time[span, h].detach())


def test_recency_slopes_start_geometrically_from_a_quarter_and_without_time() -> None:
    bias = RecencyBias(4, timed=True)
    assert bias.order_slope.tolist() == pytest.approx([1 / 4, 1 / 16, 1 / 64, 1 / 256])
    assert bias.time_slope is not None
    assert bias.time_slope.tolist() == [0, 0, 0, 0]
    assert RecencyBias(1, timed=False).order_slope.tolist() == [0.25]
    assert RecencyBias(1, timed=False).time_slope is None


def test_recency_falls_with_both_ages(stirred: Callable[..., Any]) -> None:
    bias = stirred(RecencyBias(2, timed=True)).double()
    ages, times = torch.tensor([[2.0, 1, 0], [0, 0, 0]]).double(), torch.tensor([[9.0, 0.5, 0], [1, 1, 1]]).double()
    got = bias(ages, times).detach()
    assert got.shape == (2, 2, 3)
    for r in range(2):
        for h in range(2):
            for i in range(3):
                wanted = -bias.order_slope[h].detach() * ages[r, i] - bias.time_slope[h].detach() * times[r, i]
                assert math.isclose(got[r, h, i], wanted, abs_tol=1e-12)
    assert torch.equal(bias(ages, None), -bias.order_slope[:, None] * ages[:, None, :])


def whole_softmax(bias: RecencyBias, ages: Tensor, time_ages: Tensor | None, logits: Tensor) -> Tensor:
    """Weights of a null pair of logit 0.3, without age, and of interactions [H, 1 + T]."""
    own = bias(ages[None], None if time_ages is None else time_ages[None])[0]
    return torch.cat([logits.new_full((len(own), 1), 0.3), logits + own], dim=1).softmax(dim=1)


@pytest.mark.parametrize("timed", [True, False])
def test_gains_and_shifts_give_the_softmax_of_ages_at_every_position(timed: bool, stirred: Callable[..., Any]) -> None:
    bias = stirred(RecencyBias(2, timed=timed)).double()
    ends, times = torch.tensor([[0, 1, 2, 2, 5]]), torch.tensor([[-9.0, -7, -7, -2, 0]]).double()
    moments, logits = torch.tensor([[-9.0, -8.5, -6, -3, 4]]).double(), torch.linspace(-1, 1, 10).double().view(2, 5)
    gains, shifts = bias.apart(5, ends, times if timed else None, moments if timed else None)
    assert gains.shape == shifts.shape == (1, 2, 5)
    for p, end in enumerate(ends[0].tolist()):
        null = 0.3 + shifts[0, :, p : p + 1]
        got = torch.cat([null, (logits + gains[0])[:, :end]], dim=1).softmax(dim=1)
        ages = torch.arange(end - 1, -1, -1).double()
        wanted = whole_softmax(bias, ages, moments[0, p] - times[0, :end] if timed else None, logits[:, :end])
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)
    assert shifts[0].isfinite().all()


def test_gains_do_not_depend_on_the_position_nor_shifts_on_the_interaction(stirred: Callable[..., Any]) -> None:
    bias, times = stirred(RecencyBias(2, timed=True)), torch.tensor([[-4.0, -1, 0]])
    one, _ = bias.apart(3, torch.tensor([[0, 1, 2]]), times, torch.tensor([[-4.0, -4, -1]]))
    other, shifts = bias.apart(3, torch.tensor([[0, 2, 3]]), times, torch.tensor([[-4.0, 9, 9]]))
    assert torch.equal(one, other)
    _, same = bias.apart(3, torch.tensor([[0, 2, 3]]), times - 5, torch.tensor([[-4.0, 9, 9]]))
    assert torch.equal(shifts, same)
