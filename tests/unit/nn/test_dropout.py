"""Tests of dropout."""

from __future__ import annotations

import pytest
import torch

from recattn.nn.dropout import Dropout


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.2, 0.5, 0.999])
def test_entries_fall_at_the_rate_and_the_rest_makes_up_for_it(rate: float) -> None:
    torch.manual_seed(0)
    out = Dropout(rate)(torch.ones(300, 1001))
    share = float((out == 0).float().mean())
    assert share == pytest.approx(rate, abs=1 / 256)
    assert out[out != 0].unique().numel() == 1
    assert float(out.mean()) == pytest.approx(1, abs=0.02 if rate < 0.9 else 0.2)


def test_entries_fall_independently_of_each_other() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(4000, 16)) > 0).double()
    correlation = torch.corrcoef(kept.T) - torch.eye(16).double()
    assert float(correlation.abs().max()) < 0.08


def test_nothing_falls_in_eval_or_at_rate_0() -> None:
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)


def test_the_seed_decides_what_falls() -> None:
    x, drop = torch.ones(9, 7), Dropout(0.5)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(drop(x))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_the_gradient_goes_where_the_entries_stayed() -> None:
    torch.manual_seed(0)
    x = torch.ones(40, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())
    assert Dropout(0.5)(torch.ones(0, 4)).shape == (0, 4)
