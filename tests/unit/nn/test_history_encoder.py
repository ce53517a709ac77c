"""Tests of states that each know their past."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recattn.batching.batch import HistoryBatch
from recattn.nn.history_encoder import HistoryEncoder

ITEMS = torch.randn(9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def history(**changes: Any) -> HistoryBatch:
    """Two histories of 5 and 2 interactions."""
    codes = torch.tensor([[3, 4, 3, 8, 1], [5, 2, 0, 0, 0]])
    weights = torch.tensor([[0.5, torch.nan, 0.0, 3, 1], [torch.nan, 2, torch.nan, torch.nan, torch.nan]])
    batch = HistoryBatch(
        items=codes,
        mask=codes > 0,
        times=torch.tensor([[100, 100, 160, 9_000, 700_000], [50, 51, 0, 0, 0]]),
        behaviours=torch.tensor([[1, 0, 2, 3, 1], [3, 1, 0, 0, 0]]),
        weights=weights.double(),
    )
    return batch._replace(**changes)


def states(encoder: HistoryEncoder, batch: HistoryBatch) -> Tensor:
    return encoder(ITEMS[batch.items], batch).detach()


@pytest.fixture
def build(stirred: Callable[..., Any]) -> Callable[..., HistoryEncoder]:
    def make(num_layers: int = 2, **changes: Any) -> HistoryEncoder:
        options = {"timed": True, "num_behaviours": 3, "weighted": True, "dropout": 0.3} | changes
        return stirred(HistoryEncoder(8, 2, num_layers, **options)).double().eval()

    return make


@pytest.mark.parametrize("num_layers", [0, 1, 3])
@pytest.mark.parametrize("changes", [{}, {"timed": False}, {"num_behaviours": 0}, {"weighted": False}])
def test_states_are_those_of_the_formula(
    num_layers: int, changes: dict[str, Any], build: Callable[..., HistoryEncoder], loops: Any
) -> None:
    encoder = build(num_layers, **changes)
    lacking = {"timed": "times", "num_behaviours": "behaviours", "weighted": "weights"}
    batch = history(**{lacking[name]: None for name in changes})
    scorer = torch.nn.Module()
    scorer.history = encoder
    scorer.config = SimpleNamespace(dim=8, num_heads=2, num_layers=num_layers)  # type: ignore[assignment]
    got = states(encoder, batch)
    for row, length in enumerate((5, 2)):
        wanted = loops.states(scorer, lambda code: ITEMS[code].numpy(), SimpleNamespace(history=batch), row)
        np.testing.assert_allclose(got[row, :length], np.stack(wanted)[:length], atol=1e-10)


def test_a_state_does_not_know_its_future(build: Callable[..., HistoryEncoder]) -> None:
    encoder, batch = build(), history()
    whole = states(encoder, batch)
    for end in range(1, 6):
        part = HistoryBatch(*(None if one is None else one[:, :end] for one in batch))
        torch.testing.assert_close(states(encoder, part)[0], whole[0, :end], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["items", "times", "behaviours", "weights"])
def test_every_input_of_an_interaction_reaches_its_state_and_the_later_ones(
    name: str, build: Callable[..., HistoryEncoder]
) -> None:
    encoder, batch = build(), history()
    values = getattr(batch, name).clone()
    values[0, 2] = {"items": 7, "times": 4_000, "behaviours": 1, "weights": 2.0}[name]
    change = (states(encoder, batch._replace(**{name: values})) - states(encoder, batch)).abs().amax(dim=2)[0]
    assert not change[:2].any()
    assert (change[2:] > 1e-9).all()


def test_a_missing_weight_is_not_a_weight_of_zero(build: Callable[..., HistoryEncoder]) -> None:
    batch = history()
    assert batch.weights is not None
    zero = states(build(0), batch._replace(weights=batch.weights.nan_to_num()))
    missing = states(build(0), batch)
    assert missing.isfinite().all()
    assert not torch.allclose(missing[0, 1], zero[0, 1])
    torch.testing.assert_close(missing[0, 2], zero[0, 2])


def test_all_times_may_be_shifted_together(build: Callable[..., HistoryEncoder]) -> None:
    batch = history()
    assert batch.times is not None
    later = batch._replace(times=torch.where(batch.mask, batch.times + 10**9, 0))
    torch.testing.assert_close(states(build(), later)[batch.mask], states(build(), batch)[batch.mask])


def test_padding_changes_no_state(build: Callable[..., HistoryEncoder]) -> None:
    encoder, batch = build(), history()
    fills = {"items": 0, "mask": False, "times": 0, "behaviours": 0, "weights": torch.nan}
    wide = HistoryBatch(
        **{
            name: torch.nn.functional.pad(getattr(batch, name).double(), (0, 4), value=float(fill)).to(
                getattr(batch, name).dtype
            )
            for name, fill in fills.items()
        }
    )
    torch.testing.assert_close(states(encoder, wide)[:, :5], states(encoder, batch), rtol=0, atol=1e-12)
    short = HistoryBatch(*(None if one is None else one[1:, :2] for one in batch))
    torch.testing.assert_close(states(encoder, short)[0], states(encoder, batch)[1, :2], rtol=0, atol=1e-12)
    assert states(encoder, batch).isfinite().all()


def test_what_stands_in_padding_changes_no_state(build: Callable[..., HistoryEncoder]) -> None:
    encoder, batch = build(), history()
    assert batch.times is not None
    other = batch._replace(
        items=torch.where(batch.mask, batch.items, 6),
        times=torch.where(batch.mask, batch.times, 10**6),
        behaviours=torch.where(batch.mask, batch.behaviours, 2),
        weights=torch.where(batch.mask, batch.weights, 5),
    )
    torch.testing.assert_close(
        states(encoder, other)[batch.mask], states(encoder, batch)[batch.mask], rtol=0, atol=1e-12
    )


def test_a_masked_interaction_in_the_middle_is_invisible_to_the_others(build: Callable[..., HistoryEncoder]) -> None:
    encoder, batch = build(), history()
    batch.mask[0, 2] = False
    other = batch.items.clone()
    other[0, 2] = 7
    kept = batch.mask[0]
    change = states(encoder, batch._replace(items=other))[0, kept] - states(encoder, batch)[0, kept]
    assert float(change.abs().max()) < 1e-12


def test_dropout_is_off_in_eval_and_on_in_training(build: Callable[..., HistoryEncoder]) -> None:
    encoder = build()
    assert torch.equal(states(encoder, history()), states(encoder, history()))
    torch.manual_seed(0)
    first, second = (states(encoder.train(), history()) for _ in range(2))
    assert not torch.equal(first, second)


def test_empty_histories_have_no_nan_and_no_nan_gradient(build: Callable[..., HistoryEncoder]) -> None:
    codes = torch.zeros(2, 1, dtype=torch.int64)
    weights = torch.full((2, 1), torch.nan, dtype=torch.float64)
    batch = HistoryBatch(codes, codes > 0, codes, codes, weights)
    encoder = build().train()
    out = encoder(ITEMS[codes], batch)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in encoder.parameters() if weight.grad is not None)
