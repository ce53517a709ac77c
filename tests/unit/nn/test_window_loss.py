"""Tests of training all prefixes of a window at once."""

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
from recattn.config import STAGES, ModelConfig, TrainConfig
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.requests import Requests, make_requests
from recattn.dataset.windows import Windows, make_windows
from recattn.nn import Scorer, window_losses
from recattn.nn.window_loss import hard_items, head_loss, total_loss, window_prefixes

EVERYWHERE = TrainConfig(head_positions=99, num_negatives=9, head_gradient=1.0)


def batch_of(
    scene: Any, config: ModelConfig, windows: Windows, rows: Any = None, train: TrainConfig = EVERYWHERE
) -> WindowBatch:
    sampler = NegativeSampler(np.arange(15), 0.5)
    rows = np.arange(len(windows)) if rows is None else np.asarray(rows)
    return scene.assembler(config).windows(windows, rows, train, sampler, np.random.default_rng(0))


def windows_of(scene: Any, scorer: Scorer) -> Windows:
    return make_windows(scene.store, scorer.config.max_history, ties=scorer.config.ties)


def window_scores(scorer: Scorer, batch: WindowBatch, codes: Tensor, stage: Any = None) -> Tensor:
    """[positions with a target, codes], window by window."""
    rows, positions = torch.nonzero(batch.targets, as_tuple=True)
    with torch.no_grad():
        prefixes = window_prefixes(scorer, batch, scorer.encode(batch.history), rows, positions)
        return scorer.score(prefixes, scorer.candidates(codes), scorer.items.biases(codes), stage)


def same_requests(scene: Any, windows: Windows, ties: Any) -> Requests:
    """Each target of the windows as a request of its own that starts where its window does."""
    store = scene.store
    targets = np.concatenate([np.arange(a, b) for a, b in zip(windows.loss_from, windows.stops, strict=True)])
    users = store.row_users[targets]
    frame = pd.DataFrame({"user_id": store.users[users], "position": targets - store.offsets[users]})
    if store.times is not None:
        frame["timestamp"] = store.times[targets]
    frame = frame.assign(**{name: values[targets] for name, values in store.extras.items()})
    starts = np.repeat(windows.starts, windows.stops - windows.loss_from)
    requests = make_requests(store, frame, ties=ties)
    return dataclasses.replace(requests, starts=starts, stops=np.maximum(requests.stops, starts))


def request_scores(scene: Any, scorer: Scorer, requests: Requests, codes: Tensor, stage: Any = None) -> Tensor:
    batch = scene.assembler(scorer.config).requests(requests)
    with torch.no_grad():
        return scorer(batch._replace(candidates=codes), stage)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("request_time", ["hidden", "given"])
@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_windows_and_requests_give_the_same_score_for_the_same_prefix_and_candidate(
    stage: Any, request_time: Any, ties: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, request_time=request_time, ties=ties)
    windows, codes = windows_of(scene, scorer), scorer.items.catalog()
    assert len(windows) > len(scene.store.users)
    got = window_scores(scorer, batch_of(scene, scorer.config, windows), codes, stage)
    wanted = request_scores(scene, scorer, same_requests(scene, windows, ties), codes, stage)
    assert len(got) == len(scene.store)
    close(got, wanted)


@pytest.mark.parametrize(
    "changes",
    [{"plain": True, "use_weights": False, "use_events": False}, {"num_layers": 0}, {"keys": "separate"}],
)
@pytest.mark.parametrize("stage", STAGES)
def test_both_routes_agree_without_attributes_without_blocks_or_with_separate_keys(
    stage: Any, changes: dict[str, Any], scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, **changes)
    windows, codes = windows_of(scene, scorer), torch.tensor([13, 2, 5])
    got = window_scores(scorer, batch_of(scene, scorer.config, windows), codes, stage)
    close(got, request_scores(scene, scorer, same_requests(scene, windows, "exclude"), codes, stage))


@pytest.mark.parametrize("stage", STAGES)
def test_both_routes_agree_where_only_the_order_is_known(
    stage: Any, build_log: Any, build_scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scene = build_scene(build_log(), time="order")
    scorer = build_scorer(scene, time="order")
    windows, codes = windows_of(scene, scorer), torch.tensor([13, 2, 5])
    got = window_scores(scorer, batch_of(scene, scorer.config, windows), codes, stage)
    close(got, request_scores(scene, scorer, same_requests(scene, windows, "order"), codes, stage))


def test_training_without_dropout_gives_the_scores_of_eval(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, dropout=0.0, id_dropout=0.0)
    batch = batch_of(scene, scorer.config, windows_of(scene, scorer))
    codes = scorer.items.catalog()
    close(window_scores(scorer.train(), batch, codes), window_scores(scorer.eval(), batch, codes))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_what_comes_at_or_after_a_position_does_not_change_its_score(
    ties: Any, stage: Any, build_log: Any, build_scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    log = build_log(lengths=(7,)).sort_values("timestamp", kind="stable").reset_index(drop=True)
    scene = build_scene(log)
    scorer, codes = build_scorer(scene, ties=ties), torch.tensor([1, 13])
    assert log["timestamp"].duplicated().any()
    whole = window_scores(scorer, batch_of(scene, scorer.config, windows_of(scene, scorer)), codes, stage)
    for position in range(7):
        later = np.arange(7) >= position if ties == "order" else log["timestamp"] >= log["timestamp"][position]
        other = log.assign(
            item_id=log["item_id"].where(~later, "i13"),
            event_type=log["event_type"].where(~later, "cart"),
            weight=log["weight"].where(~later, 7).astype(np.float32),
        )
        changed = dataclasses.replace(scene, store=build_scene(other).store)
        got = window_scores(scorer, batch_of(changed, scorer.config, windows_of(changed, scorer)), codes, stage)
        assert torch.equal(got[position], whole[position])
        after = whole[position + 1 :]
        assert not len(after) or ties == "exclude" or not torch.allclose(got[position + 1 :], after)


def test_other_windows_in_the_batch_change_no_score(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    windows, codes = windows_of(scene, scorer), scorer.items.catalog()
    whole = window_scores(scorer, batch_of(scene, scorer.config, windows), codes)
    ends = np.cumsum(windows.stops - windows.loss_from)
    for row, end in enumerate(ends):
        alone = window_scores(scorer, batch_of(scene, scorer.config, windows, [row]), codes)
        close(alone, whole[end - len(alone) : end])


def test_the_retrieval_loss_is_the_mean_cross_entropy_over_the_items_that_count(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    scorer.items.trainable[13:] = False
    windows = windows_of(scene, scorer)
    batch = batch_of(scene, scorer.config, windows)
    codes = torch.arange(1, 13)
    logits = request_scores(scene, scorer, same_requests(scene, windows, "exclude"), codes, "retrieval").double()
    targets = batch.targets[batch.targets > 0]
    wanted = -logits.log_softmax(dim=1)[torch.arange(len(targets)), targets - 1].mean()
    got = window_losses(scorer, batch, EVERYWHERE)["retrieval"]
    assert float(got.detach()) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("loss", ["sampled_softmax", "bce"])
def test_sampled_retrieval_losses_compare_each_target_to_the_negatives_that_are_not_it(
    loss: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    windows = windows_of(scene, scorer)
    batch = batch_of(scene, scorer.config, windows)
    logits = request_scores(
        scene, scorer, same_requests(scene, windows, "exclude"), scorer.items.catalog(), "retrieval"
    ).double()
    wanted, positive, negative = [], [], []
    for row, target in zip(logits, batch.targets[batch.targets > 0].tolist(), strict=True):
        others = [s for s, code in enumerate(batch.candidates.tolist()) if code != target]
        values = row[batch.candidates[others] - 1]
        wanted.append(
            (torch.cat([row[[target - 1]], values - batch.candidate_log_counts[others]])).logsumexp(0) - row[target - 1]
        )
        positive.append(-torch.nn.functional.logsigmoid(row[target - 1]))
        negative.extend((-torch.nn.functional.logsigmoid(-values)).tolist())
    assert len(negative) < len(logits) * len(batch.candidates)
    mean = sum(wanted) / len(wanted) if loss == "sampled_softmax" else sum(positive) / len(positive) + np.mean(negative)
    got = window_losses(scorer, batch, dataclasses.replace(EVERYWHERE, loss=loss))["retrieval"]
    assert float(got.detach()) == pytest.approx(float(mean), rel=1e-5)


@pytest.mark.parametrize("stage", ["attention", "deep"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("hard", [0, 2, 10_000])
def test_the_head_loss_sums_the_hardest_items_exactly_with_the_rest_sampled(
    hard: int, share: float, stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, score=stage)
    windows = windows_of(scene, scorer)
    batch = batch_of(scene, scorer.config, windows)
    requests, catalog = same_requests(scene, windows, "exclude"), scorer.items.catalog()
    logits = request_scores(scene, scorer, requests, catalog).double()
    cheap = request_scores(scene, scorer, requests, catalog, stage="retrieval")
    wanted = []
    for row, easy, target in zip(logits, cheap, batch.targets[batch.targets > 0].tolist(), strict=True):
        ranked = [code for code in (1 + easy.argsort(descending=True)).tolist() if code != target]
        own = [target, *ranked[:hard]]
        others = [s for s, code in enumerate(batch.candidates.tolist()) if code not in own]
        values = row[batch.candidates[others] - 1] - batch.candidate_log_counts[others]
        wanted.append(float(torch.cat([row[[code - 1 for code in own]], values]).logsumexp(0) - row[target - 1]))
    train = dataclasses.replace(EVERYWHERE, head_gradient=share, hard_negatives=hard)
    got = head_loss(scorer, batch, scorer.encode(batch.history), train)
    assert float(got.detach()) == pytest.approx(np.mean(wanted), rel=1e-5)


@pytest.mark.parametrize("keys", ["states", "separate"])
def test_a_share_of_the_head_gradient_reaches_what_retrieval_uses_too(
    keys: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, dropout=0.0, keys=keys)
    batch = batch_of(scene, scorer.config, windows_of(scene, scorer))

    def gradients(share: float) -> dict[str, Tensor]:
        scorer.zero_grad()
        train = dataclasses.replace(EVERYWHERE, head_gradient=share)
        head_loss(scorer, batch, scorer.encode(batch.history), train).backward()
        empty = torch.zeros(())
        return {name: empty if w.grad is None else w.grad.clone() for name, w in scorer.named_parameters()}

    whole, part, none = gradients(1.0), gradients(0.25), gradients(0.0)
    shared = [name for name in whole if name.startswith(("items.ids", "items.bias", "items.encoder", "history."))]
    own = [name for name in whole if name.startswith(("attention", "deep", "items.attention_ids", "key_norm"))]
    assert ("items.attention_ids.weight" in own) == (keys == "separate")
    assert len(shared) > 20
    assert len(own) > 20
    for name in shared:
        close(part[name], 0.25 * whole[name])
        assert not none[name].any()
    for name in own:
        close(part[name], whole[name])
        close(none[name], whole[name])


def test_positions_without_a_target_have_no_loss(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    windows = windows_of(scene, scorer)
    batch = batch_of(scene, scorer.config, windows)
    kept = batch.targets.clone()
    kept[:, ::2] = 0
    part = batch._replace(targets=kept)
    loss = window_losses(scorer, part, EVERYWHERE)["retrieval"]
    logits = window_scores(scorer, part, scorer.items.catalog(), "retrieval").double()
    logits = logits.masked_fill(~scorer.items.targets[1:], -torch.inf)
    wanted = -logits.log_softmax(dim=1)[torch.arange(len(logits)), kept[kept > 0] - 1].mean()
    assert float(loss.detach()) == pytest.approx(float(wanted), rel=1e-5)


def test_the_loss_of_a_batch_is_the_mean_over_the_positions_of_its_windows(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    windows = windows_of(scene, scorer)
    counts = windows.stops - windows.loss_from
    together = batch_of(scene, scorer.config, windows)
    negatives = {"candidates": together.candidates, "candidate_log_counts": together.candidate_log_counts}
    whole = window_losses(scorer, together, EVERYWHERE)
    parts = [
        window_losses(scorer, batch_of(scene, scorer.config, windows, [row])._replace(**negatives), EVERYWHERE)
        for row in range(len(windows))
    ]
    assert list(whole) == ["retrieval", "attention", "deep"]
    for name in whole:
        mean = sum(float(part[name].detach()) * count for part, count in zip(parts, counts, strict=True)) / counts.sum()
        assert float(whole[name].detach()) == pytest.approx(mean, rel=1e-5)


def test_each_score_has_a_loss_of_its_own(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    def names(stage: Any) -> list[str]:
        scorer = build_scorer(scene, score=stage)
        return list(window_losses(scorer, batch_of(scene, scorer.config, windows_of(scene, scorer)), EVERYWHERE))

    assert names("retrieval") == ["retrieval"]
    assert names("attention") == ["retrieval", "attention"]


def test_the_total_is_the_weighted_sum_of_the_losses() -> None:
    losses = {"retrieval": torch.tensor(1.0), "attention": torch.tensor(10.0), "deep": torch.tensor(100.0)}
    train = TrainConfig(attention_weight=0.3, head_weight=0.07)
    assert float(total_loss(losses, train)) == pytest.approx(1 + 3 + 7)
    assert float(total_loss({"retrieval": torch.tensor(4.0)}, train)) == 4
    del losses["deep"]
    assert float(total_loss(losses, TrainConfig())) == pytest.approx(1 + 10 * TrainConfig().attention_weight)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bce"])
def test_first_interactions_without_history_give_no_nan_gradient(
    loss: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene).train()
    train = dataclasses.replace(EVERYWHERE, loss=loss)
    for rows in (None, [2]):  # the second is a user with one interaction
        batch = batch_of(scene, scorer.config, windows_of(scene, scorer), rows)
        scorer.zero_grad()
        losses = window_losses(scorer, batch, train)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        assert all(value.isfinite() for value in losses.values())
        assert all(weight.grad.isfinite().all() for weight in scorer.parameters() if weight.grad is not None)


def test_every_weight_of_the_model_is_trained(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, dropout=0.0)
    losses = window_losses(scorer, batch_of(scene, scorer.config, windows_of(scene, scorer)), EVERYWHERE)
    total_loss(losses, EVERYWHERE).backward()
    idle = [name for name, weight in scorer.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_a_masked_interaction_of_a_window_changes_no_loss(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer.config, windows_of(scene, scorer))
    mask, other = batch.history.mask.clone(), batch.history.items.clone()
    mask[:, 1], other[:, 1] = False, 13
    histories = [batch.history._replace(mask=mask, items=items) for items in (batch.history.items, other)]
    one, two = (window_losses(scorer, batch._replace(history=history), EVERYWHERE) for history in histories)
    for name in ("retrieval", "attention", "deep"):
        assert float(one[name].detach()) == pytest.approx(float(two[name].detach()), rel=1e-5)


def test_a_head_that_does_not_teach_the_encoder_learns_on_states_without_dropout(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, score="attention", dropout=0.5)
    batch = batch_of(scene, scorer.config, windows_of(scene, scorer))
    own = dataclasses.replace(EVERYWHERE, head_gradient=0.0)

    def loss(train: TrainConfig) -> float:
        return float(head_loss(scorer, batch, scorer.encode(batch.history), train).detach())

    scorer.eval()
    still = loss(own)
    scorer.train()
    assert loss(own) == pytest.approx(still, rel=1e-6)
    assert scorer.history.training
    assert scorer.items.training
    assert loss(EVERYWHERE) != pytest.approx(still, rel=1e-3)


def test_hard_items_are_the_best_of_those_that_count_without_the_target(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer.config, windows_of(scene, scorer))
    targets = batch.targets[batch.head_rows, batch.head_positions]
    prefixes = window_prefixes(
        scorer, batch, scorer.encode(batch.history), batch.head_rows, batch.head_positions, "retrieval"
    )
    codes = scorer.items.catalog()
    scores = scorer.retrieval(prefixes.states_RD, scorer.items(codes), scorer.items.biases(codes))
    scorer.items.trainable[scores.mean(dim=0).argmax() + 1] = False
    chosen = hard_items(scorer, batch, scorer.encode(batch.history), targets, 3)
    assert chosen.shape == (len(targets), 3)
    for row, target, items in zip(scores.detach(), targets.tolist(), chosen.tolist(), strict=True):
        ranked = (1 + row.argsort(descending=True)).tolist()
        assert items == [code for code in ranked if code != target and scorer.items.trainable[code]][:3]
