"""Tests of the linear head's fast road."""

from __future__ import annotations

import pytest
import torch

from recattn.nn import linear_head
from recattn.nn.attention import BoundedTargetAttention, UniformAttention, View
from recattn.nn.linear_head import linear_head_term, suits

B, R, S, T, D, H = 3, 5, 23, 11, 12, 3


@pytest.fixture
def attention() -> BoundedTargetAttention:
    torch.manual_seed(0)
    attention = BoundedTargetAttention(D, H, timed=True).eval()
    with torch.no_grad():
        for weight in attention.parameters():
            weight.copy_(torch.randn_like(weight) * 0.7)
    return attention


def view_of(seed: int = 0) -> View:
    """Requests over shared histories, with holes, one that sees nothing."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(R, T, generator=generator) < 0.7
    mask[1] = False
    ages = torch.arange(T - 1, -1, -1.0).expand(R, -1)
    return View(torch.tensor([0, 2, 2, 1, 0]), mask, ages, 40 * torch.rand(R, T, generator=generator))


def both(attention: BoundedTargetAttention, shared: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The term by the fast and by the general road."""
    torch.manual_seed(1)
    queried, content = torch.randn(2, *((S, D) if shared else (R, S, D)))
    readout, states = torch.randn(D, D), torch.randn(B, T, D)
    with torch.no_grad():
        keys, view = attention.keys(states), view_of()
        general = (attention(queried, keys, view) * (content @ readout.T)).sum(dim=-1)
        items = torch.cat([queried, content], dim=-1)
        asked = lambda some: (some[..., :D], some[..., D:])  # noqa: E731
        return linear_head_term(attention, items, asked, readout, keys, view), general


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("block", [1, 7, 2048])
@pytest.mark.parametrize("cached", [1, 200, 1000, 1 << 19])
def test_it_gives_the_scores_of_the_general_road_in_blocks_of_any_size(
    attention: BoundedTargetAttention, monkeypatch: pytest.MonkeyPatch, shared: bool, cached: int, block: int
) -> None:
    monkeypatch.setattr(linear_head, "CACHED", cached)
    monkeypatch.setattr(linear_head, "BLOCK", block)
    fast, general = both(attention, shared)
    assert fast.shape == (R, S)
    torch.testing.assert_close(fast, general, rtol=2e-5, atol=2e-5)
    assert general.std() > 1


@pytest.mark.parametrize("slope", [-30.0, 30.0])
def test_extreme_slopes_and_temperatures_stay_finite(attention: BoundedTargetAttention, slope: float) -> None:
    """A bias that grows with age outweighs the null pair by e^330; one that falls leaves it alone."""
    with torch.no_grad():
        attention.recency.order_slope.fill_(slope)
        attention.log_temperature.fill_(100.0)
    fast, general = both(attention, shared=False)
    assert torch.isfinite(fast).all()
    torch.testing.assert_close(fast, general, rtol=1e-4, atol=1e-4)


def test_gradients_and_other_matchings_go_the_general_road(attention: BoundedTargetAttention) -> None:
    candidates = torch.randn(S, D)
    assert not suits(attention, candidates)  # gradients are on
    with torch.no_grad():
        assert suits(attention, candidates)
        assert not suits(attention, candidates.bfloat16())
        with torch.autocast("cpu"):
            assert not suits(attention, candidates)
        assert not suits(UniformAttention(D, H, timed=True), candidates)
