"""Tests of the additive biases from order and time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from recattn.nn.bias import RecencyBias, RelativeBias, time_bucket


def test_spans_of_time_fall_into_buckets_that_double(loops: Any) -> None:
    seconds = [-5, 0, 1, 2, 3, 6, 7, 86_400, 2**31 - 2, 2**31 - 1, 2**40, 2**62]
    buckets = time_bucket(torch.tensor(seconds))
    assert buckets.tolist() == [0, 0, 1, 1, 2, 2, 3, 16, 30, 31, 31, 31]
    assert buckets.tolist() == [loops.bucket(one) for one in seconds]
    assert buckets.dtype == torch.int64


def test_a_pair_has_the_bias_of_its_distances_in_order_and_time(stirred: Callable[..., Any], loops: Any) -> None:
    bias = stirred(RelativeBias(2, 3, timed=True)).double()
    times = torch.tensor([[10, 10, 500, 90_000, 90_001], [0, 7, 7, 7, 1]])
    got = bias(5, times).detach()
    assert got.shape == (2, 2, 5, 5)
    for b in range(2):
        for h in range(2):
            for i in range(5):
                for j in range(i + 1):
                    span = loops.bucket(int(times[b, i] - times[b, j]))
                    wanted = bias.position[h, min(i - j, 2)] + bias.time[span, h]
                    assert float(got[b, h, i, j]) == pytest.approx(float(wanted.detach()), abs=1e-12)


def test_without_times_only_the_order_counts(stirred: Callable[..., Any]) -> None:
    timed, untimed = stirred(RelativeBias(2, 4, timed=True)), RelativeBias(2, 4, timed=False)
    untimed.load_state_dict({"position": timed.position})
    assert torch.equal(timed(3, None), untimed(3, torch.tensor([[1, 2, 3]])))
    assert timed(3, None).shape == (1, 2, 3, 3)


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
