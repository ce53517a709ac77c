"""Tests of the attention score's loss on every position, against the same positions as requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from recattn.batching.batch import WindowBatch
from recattn.config import TrainConfig
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.windows import make_windows
from recattn.nn import Scorer, prefix_loss, prefix_softmax, window_losses
from recattn.nn.prefix_loss import recency
from recattn.nn.window_loss import window_prefixes

TRAIN = TrainConfig(num_negatives=9)


def batch_of(scene: Any, scorer: Scorer, train: TrainConfig = TRAIN) -> WindowBatch:
    windows = make_windows(scene.store, scorer.config.max_history, ties=scorer.config.ties)
    sampler, rows = NegativeSampler(np.arange(15), 0.5), np.arange(len(windows))
    return scene.assembler(scorer.config).windows(windows, rows, train, sampler, np.random.default_rng(0))


def loss_of(scorer: Scorer, batch: WindowBatch) -> Tensor:
    return window_losses(scorer, batch, TRAIN)["attention"]


def by_requests(scorer: Scorer, batch: WindowBatch) -> Tensor:
    """Cross-entropy at each position with a target [R], from the score of a request that sees its prefix."""
    rows, positions = torch.nonzero(batch.targets > 0, as_tuple=True)
    targets, codes = batch.targets[rows, positions, None], batch.candidates
    prefixes = window_prefixes(scorer, batch, scorer.encode(batch.history), rows, positions, "attention")
    own, shared = (
        scorer.score(prefixes, scorer.candidates(some), scorer.items.biases(some), "attention")
        for some in (targets, codes)
    )
    shared = (shared - batch.candidate_log_counts).masked_fill(codes == targets, -torch.inf)
    return -torch.cat([own, shared], dim=1).log_softmax(dim=1)[:, 0]


def gradients(scorer: Scorer, loss: Tensor) -> dict[str, Tensor]:
    named = dict(scorer.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {name: grad for name, grad in zip(named, found, strict=True) if grad is not None}


def check(scorer: Scorer, batch: WindowBatch, rel: float = 1e-5) -> None:
    """Value and the gradient of every weight."""
    loss, wanted = loss_of(scorer, batch), by_requests(scorer, batch).mean()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=rel)
    ours, theirs = gradients(scorer, loss), gradients(scorer, wanted)
    assert set(ours) == set(theirs)
    assert len(ours) > 20
    for name, grad in ours.items():
        torch.testing.assert_close(
            grad, theirs[name], rtol=10 * rel, atol=rel, msg=lambda text, at=name: f"{at}: {text}"
        )


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which form each loss was computed in."""
    seen: list[str] = []
    for name in ("masked_loss", "prefix_softmax_loss"):
        real = getattr(prefix_loss, name)

        def note(*args: Any, name: str = name, real: Any = real, **named: Any) -> Any:
            seen.append(name)
            return real(*args, **named)

        monkeypatch.setattr(prefix_loss, name, note)
    return seen


@pytest.fixture(params=["running sums", "masked"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "masked":
        monkeypatch.setattr(prefix_softmax, "SAFE", -1.0)
    return request.param


@pytest.mark.parametrize("request_time", ["hidden", "given"])
@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_every_position_has_the_cross_entropy_of_its_prefix_as_a_request(
    request_time: Any, ties: Any, scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, request_time=request_time, ties=ties, score="attention")
    batch = batch_of(scene, scorer)
    check(scorer, batch)
    every = by_requests(scorer, batch)
    for n, (row, position) in enumerate(torch.nonzero(batch.targets > 0).tolist()):
        only = torch.zeros_like(batch.targets)
        only[row, position] = batch.targets[row, position]
        loss = loss_of(scorer, batch._replace(targets=only))
        assert float(loss.detach()) == pytest.approx(float(every[n].detach()), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"plain": True, "use_weights": False, "use_events": False},
        {"num_heads": 1},
        {"keys": "items"},
        {"keys": "separate"},
        {"keys": "separate", "score": "attention", "attention": "both"},
    ],
)
def test_attributes_heads_and_what_keys_are_made_of_make_no_difference(
    changes: dict[str, Any], scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, num_layers=1, **changes)
    check(scorer, batch_of(scene, scorer))


def test_a_deep_scorer_has_the_loss_of_its_attention_score_too(
    scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    check(scorer, batch_of(scene, scorer))


def test_positions_are_requests_where_only_the_order_is_known_too(
    build_log: Any, build_scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scene = build_scene(build_log(), time="order")
    scorer = build_scorer(scene, time="order")
    check(scorer, batch_of(scene, scorer))


def test_the_form_is_the_one_the_exponents_allow(
    scene: Any, forms: list[str], build_scorer: Callable[..., Scorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    loss_of(scorer, batch)
    assert forms == ["prefix_softmax_loss"]
    monkeypatch.setattr(prefix_softmax, "SAFE", -1.0)
    loss_of(scorer, batch)
    assert forms[1:] == ["masked_loss"]


@pytest.mark.parametrize("cells", [1, 200, 1 << 20])
@pytest.mark.parametrize("positions", [1, 7, 64])
def test_the_size_of_steps_changes_neither_form(
    cells: int, positions: int, scene: Any, form: str, build_scorer: Callable[..., Scorer], monkeypatch: Any
) -> None:
    monkeypatch.setattr(prefix_softmax, "CELLS", cells)
    monkeypatch.setattr(prefix_loss, "POSITIONS", positions)
    scorer = build_scorer(scene, num_layers=1)
    batch = batch_of(scene, scorer)
    wanted = float(by_requests(scorer, batch).mean().detach())
    assert float(loss_of(scorer, batch).detach()) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_what_comes_at_or_after_a_position_has_exactly_no_part_in_its_loss(
    ties: Any, scene: Any, form: str, build_scorer: Callable[..., Scorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = build_scorer(scene, ties=ties, num_layers=1, score="attention")
    batch = batch_of(scene, scorer)
    places = torch.arange(batch.history.items.shape[1])
    assert batch.history.times is not None
    encode = scorer.encode
    for position in range(batch.targets.shape[1]):
        at = torch.arange(batch.targets.shape[1]) == position
        one = batch._replace(targets=batch.targets * at)
        if not one.targets.any():
            continue
        later = places >= batch.prefix_ends[:, position, None]
        loss = loss_of(scorer, one)
        history = batch.history._replace(items=torch.where(later, 13, batch.history.items))
        assert torch.equal(loss_of(scorer, one._replace(history=history)), loss)
        states = encode(batch.history).detach().requires_grad_()
        monkeypatch.setattr(scorer, "encode", lambda history, states=states: states)
        (gradient,) = torch.autograd.grad(loss_of(scorer, one), states)
        monkeypatch.setattr(scorer, "encode", encode)
        assert not gradient[later].any()
        seen = ~later & (one.targets > 0).any(dim=1, keepdim=True) & batch.history.mask
        assert gradient[seen].abs().amax(dim=1).bool().all()


def test_the_whole_catalog_as_candidates_gives_the_plain_cross_entropy_over_it(
    scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer, TrainConfig(num_negatives=14))
    assert batch.candidates.tolist() == list(range(1, 15))
    assert not batch.candidate_log_counts.any()
    rows, positions = torch.nonzero(batch.targets > 0, as_tuple=True)
    prefixes = window_prefixes(scorer, batch, scorer.encode(batch.history), rows, positions, "attention")
    codes = scorer.items.catalog()
    logits = scorer.score(prefixes, scorer.items(codes), scorer.items.biases(codes), "attention").double()
    wanted = torch.nn.functional.cross_entropy(logits, batch.targets[rows, positions] - 1)
    assert float(loss_of(scorer, batch).detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_a_target_among_the_candidates_counts_once(scene: Any, form: str, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    target = int(batch.candidates[3])
    only = batch._replace(targets=torch.where(batch.targets == target, target, 0))
    assert only.targets.any()
    others = torch.arange(len(batch.candidates)) != 3
    without = only._replace(
        candidates=batch.candidates[others], candidate_log_counts=batch.candidate_log_counts[others]
    )
    assert float(loss_of(scorer, only).detach()) == pytest.approx(float(loss_of(scorer, without).detach()), rel=1e-6)


def test_masked_interactions_in_the_middle_are_not_seen(
    scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, num_layers=1)
    batch = batch_of(scene, scorer)
    mask = batch.history.mask.clone()
    mask[:, 1], mask[2, 0] = False, False
    check(scorer, batch._replace(history=batch.history._replace(mask=mask)))


@pytest.mark.parametrize("slope", [1.0, -1.0, 30.0, 1e3, -1e3])
def test_first_interactions_and_users_of_one_give_numbers_whatever_the_slopes(
    slope: float, scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, num_layers=1)
    assert scorer.attention is not None
    with torch.no_grad():
        scorer.attention.recency.order_slope.fill_(slope)
        scorer.attention.recency.time_slope.fill_(slope)  # type: ignore[union-attr]
    batch = batch_of(scene, scorer)
    assert batch.query_times is not None
    first = (batch.prefix_ends == 0) & (batch.targets > 0)
    assert not batch.query_times[first].any()  # no event to count from
    assert (~batch.history.mask).all(dim=1).any()  # a user of one interaction
    check(scorer, batch, rel=1e-4)
    alone = batch._replace(targets=torch.where(first, batch.targets, 0))
    check(scorer, alone, rel=1e-4)


def test_gaps_of_years_give_the_masked_form_and_the_same_loss(
    build_log: Any, build_scene: Any, forms: list[str], build_scorer: Callable[..., Scorer]
) -> None:
    log: pd.DataFrame = build_log()
    first = log["timestamp"].min()
    scene = build_scene(log.assign(timestamp=first + 500 * (log["timestamp"] - first)))
    scorer = build_scorer(scene, request_time="given", num_layers=1)
    batch = batch_of(scene, scorer)
    assert batch.history.times is not None
    spans = batch.history.times.amax(dim=1) - batch.history.times[:, 0]
    assert int(spans.max()) > 9 * 365 * 86_400
    for slope in (0.4, -0.4):
        with torch.no_grad():
            scorer.attention.recency.time_slope.fill_(slope)  # type: ignore[union-attr]
        forms.clear()
        check(scorer, batch, rel=1e-4)
        assert forms == ["masked_loss"]


def test_positions_without_a_target_do_not_decide_the_form_nor_the_loss(
    scene: Any, forms: list[str], build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    idle = batch.targets == 0
    assert idle.any()
    assert batch.query_times is not None
    wanted = loss_of(scorer, batch)
    other = batch._replace(
        query_times=torch.where(idle, 10**12, batch.query_times),
        prefix_ends=torch.where(idle, batch.history.items.shape[1], batch.prefix_ends),
    )
    got = loss_of(scorer, other)
    assert forms == ["prefix_softmax_loss", "prefix_softmax_loss"]
    assert float(got.detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)
    assert all(grad.isfinite().all() for grad in gradients(scorer, got).values())


def test_ages_count_from_the_latest_event_of_the_window_so_that_float32_holds_them(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    assert scorer.attention is not None
    batch = batch_of(scene, scorer)
    assert batch.history.times is not None
    assert batch.query_times is not None
    gains, shifts = recency(scorer.attention, batch, scorer.time_scale)
    later = batch._replace(
        history=batch.history._replace(times=batch.history.times + 10**9), query_times=batch.query_times + 10**9
    )
    real = batch.history.mask.any(dim=1)
    again, shifts_again = recency(scorer.attention, later, scorer.time_scale)
    torch.testing.assert_close(again[real], gains[real], rtol=0, atol=0)
    torch.testing.assert_close(shifts_again[real], shifts[real], rtol=0, atol=0)
    assert torch.equal(gains == -torch.inf, ~batch.history.mask[:, None].expand_as(gains))


def test_bfloat16_products_give_a_loss_and_gradients_that_are_near(
    scene: Any, form: str, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, num_layers=1)
    batch = batch_of(scene, scorer)
    wanted = loss_of(scorer, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(scorer, batch)
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=0.02)
    exact = gradients(scorer, wanted)
    for name, grad in gradients(scorer, loss).items():
        assert grad.isfinite().all(), name
        assert float((grad - exact[name]).norm()) <= 0.2 * float(exact[name].norm()) + 1e-3, name


def test_no_target_is_no_loss(scene: Any, form: str, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, num_layers=1)
    batch = batch_of(scene, scorer)
    none = batch._replace(targets=torch.zeros_like(batch.targets), head_rows=batch.head_rows[:0])
    loss = loss_of(scorer, none._replace(head_positions=batch.head_positions[:0]))
    assert float(loss.detach()) == 0


def test_training_settings_leave_the_attention_loss_as_it_is(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    one, other = (
        window_losses(scorer, batch, dataclasses.replace(TRAIN, **changes))["attention"]
        for changes in ({}, {"loss": "bce", "head_gradient": 1.0, "attention_weight": 9.0})
    )
    assert torch.equal(one, other)
