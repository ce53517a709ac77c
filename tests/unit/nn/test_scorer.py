"""Tests of three scores of rising cost from one encoded history."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from recattn.batching.assemble import as_tensors
from recattn.batching.batch import RequestBatch
from recattn.config import STAGES
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_slate_requests
from recattn.nn import Scorer

AS_OF = 1_702_000_000
CANDIDATES = {"u0": "i1 i2 i13 i4", "u1": "i3", "u2": "i0 ?? i5", "u3": "i7 i7", "u5": "i9 i12 i3", "new": "i2 i11"}


def slate() -> pd.DataFrame:
    pairs = [(user, item) for user, items in CANDIDATES.items() for item in items.split()]
    frame = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    return frame.assign(device=["desk", "phone", "??"] * 5, hour=np.arange(15.0))


def requests(scene: Any, as_of: int = AS_OF) -> Requests:
    return make_slate_requests(scene.store, slate(), as_of=as_of)


def batch_of(scene: Any, scorer: Scorer, chosen: Requests | None = None) -> RequestBatch:
    return scene.assembler(scorer.config).requests(requests(scene) if chosen is None else chosen)


def scores(scorer: Scorer, batch: RequestBatch, stage: Any = None) -> Tensor:
    with torch.no_grad():
        return scorer(batch, stage)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "changes",
    [
        {"request_time": "given"},
        {"request_time": "hidden", "num_layers": 1, "deep_layers": 1},
        {"num_layers": 0, "num_heads": 1, "use_weights": False, "use_events": False},
        {"keys": "separate", "request_time": "given"},
    ],
)
def test_every_score_is_that_of_the_formula(
    changes: dict[str, Any], stage: Any, scene: Any, loops: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, **changes).double()
    batch = loops.as_double(batch_of(scene, scorer))
    features = as_tensors(scene.table.features)
    got = scores(scorer, batch, stage)
    assert batch.candidates is not None
    assert batch.candidate_mask is not None
    for row, column in torch.nonzero(batch.candidate_mask).tolist():
        wanted = loops.score(scorer, features, batch, row, int(batch.candidates[row, column]), stage)
        assert float(got[row, column]) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_order_only_scores_are_those_of_the_formula(
    build_log: Any, build_scene: Any, loops: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scene = build_scene(build_log(), time="order")
    scorer = build_scorer(scene, time="order").double()
    batch = loops.as_double(batch_of(scene, scorer, make_slate_requests(scene.store, slate())))
    assert batch.history.times is None
    got, features = scores(scorer, batch), as_tensors(scene.table.features)
    wanted = loops.score(scorer, features, batch, 0, 2, "deep")
    assert float(got[0, 0]) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_a_scorer_gives_its_dearest_score_unless_told(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    for stage in STAGES:
        scorer = build_scorer(scene, score=stage)
        assert torch.equal(scores(scorer, batch_of(scene, scorer)), scores(scorer, batch_of(scene, scorer), stage))
    every = [scores(scorer, batch_of(scene, scorer), stage) for stage in STAGES]
    assert not any(torch.allclose(one, other) for one, other in pairwise(every))


def test_each_score_is_the_one_before_plus_a_term(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    assert batch.candidates is not None
    with torch.no_grad():
        prefixes, items = scorer.requests(batch), scorer.items(batch.candidates)
        retrieval = scorer.retrieval(prefixes.states_RD, items, scorer.items.biases(batch.candidates))
        attention = retrieval + scorer.attention_term(prefixes, items)
        deep = attention + scorer.deep_term(prefixes, items)
    mask = batch.candidate_mask
    for stage, wanted in zip(STAGES, (retrieval, attention, deep), strict=True):
        close(scores(scorer, batch, stage)[mask], wanted[mask])


def test_a_fresh_scorer_starts_from_the_retrieval_score(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    stirred = build_scorer(scene)
    scorer = Scorer(stirred.config, stirred.items, user=stirred.user, context=stirred.context, num_behaviours=3).eval()
    batch = batch_of(scene, scorer)
    for stage in ("attention", "deep"):
        assert torch.equal(scores(scorer, batch, stage), scores(scorer, batch, "retrieval"))


def test_a_retrieval_scorer_has_no_attention_weights(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    names = [name for name, _ in build_scorer(scene, score="retrieval").named_parameters()]
    assert not any(name.startswith(("attention", "deep")) for name in names)
    assert not any(name.startswith("deep") for name, _ in build_scorer(scene, score="attention").named_parameters())


@pytest.mark.parametrize("stage", STAGES)
def test_a_score_does_not_depend_on_the_other_candidates(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    assert batch.candidates is not None
    whole = scores(scorer, batch, stage)
    for column in range(4):
        alone = batch._replace(candidates=batch.candidates[:, [column]], candidate_mask=None)
        real = batch.candidate_mask[:, column]  # type: ignore[index]
        close(scores(scorer, alone, stage)[real, 0], whole[real, column])
    swapped = batch._replace(candidates=batch.candidates.flip(1), candidate_mask=batch.candidate_mask.flip(1))  # type: ignore[union-attr]
    close(scores(scorer, swapped, stage).flip(1), whole)


@pytest.mark.parametrize("stage", STAGES)
def test_shared_candidates_the_catalog_and_candidates_a_request_score_alike(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    catalog = scores(scorer, batch._replace(candidates=None, candidate_mask=None), stage)
    assert catalog.shape == (6, 14)
    codes = torch.tensor([7, 14, 2])
    shared = scores(scorer, batch._replace(candidates=codes, candidate_mask=None), stage)
    own = scores(scorer, batch._replace(candidates=codes.expand(6, -1), candidate_mask=None), stage)
    close(shared, catalog[:, codes - 1])
    close(own, catalog[:, codes - 1])


@pytest.mark.parametrize("stage", STAGES)
def test_batch_composition_row_order_and_padding_change_no_score(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer, every = build_scorer(scene), requests(scene)
    whole = scores(scorer, batch_of(scene, scorer, every), stage)
    order = np.array([4, 1, 5, 0, 3, 2])
    turned = scores(scorer, batch_of(scene, scorer, every.take(order)), stage)
    close(turned, whole[order])
    assert every.offsets is not None
    for row in range(6):
        alone = scores(scorer, batch_of(scene, scorer, every.take(np.array([row]))), stage)
        assert alone.shape[1] == every.offsets[row + 1] - every.offsets[row]
        close(alone[0], whole[row, : alone.shape[1]])
    twice = scores(scorer, batch_of(scene, scorer, every.take(np.array([2, 2, 2]))), stage)
    close(twice, whole[[2, 2, 2], : twice.shape[1]])


def test_what_stands_in_padding_changes_no_score(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, request_time="given")
    batch = batch_of(scene, scorer)
    history, real = batch.history, batch.history.mask
    assert history.times is not None
    other = history._replace(
        times=torch.where(real, history.times, 1_701_999_000),
        behaviours=torch.where(real, history.behaviours, 2),  # type: ignore[call-overload]
        weights=torch.where(real, history.weights, 3.0),  # type: ignore[call-overload]
    )
    close(scores(scorer, batch._replace(history=other)), scores(scorer, batch))


def test_padded_and_unknown_candidates_score_minus_infinity(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    assert batch.candidate_mask is not None
    got = scores(scorer, batch)
    assert torch.equal(got == -torch.inf, ~batch.candidate_mask)
    nothing = batch._replace(candidate_mask=torch.zeros_like(batch.candidate_mask))
    assert (scores(scorer, nothing) == -torch.inf).all()


@pytest.mark.parametrize("stage", STAGES)
def test_requests_without_candidates_have_no_scores(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    none = torch.zeros(6, 0, dtype=torch.int64)
    assert scores(scorer, batch._replace(candidates=none, candidate_mask=none.bool()), stage).shape == (6, 0)
    assert scores(scorer, batch_of(scene, scorer, requests(scene).take(np.empty(0, int))), stage).shape[0] == 0


def test_keys_and_values_are_computed_once_whatever_the_number_of_candidates(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer, seen = build_scorer(scene), []
    assert scorer.attention is not None
    for attention in [scorer.attention, *(layer.attention for layer in scorer.deep)]:
        for project in (attention.key, attention.value):  # type: ignore[union-attr]
            project.register_forward_hook(lambda _, args, __: seen.append(tuple(args[0].shape)))  # type: ignore[union-attr]
    batch = batch_of(scene, scorer)
    encoded: list[Any] = []
    scorer.history.register_forward_hook(lambda *_: encoded.append(1))
    for count in (1, 500):
        seen.clear()
        encoded.clear()
        codes = torch.ones(count, dtype=torch.int64)
        scores(scorer, batch._replace(candidates=codes, candidate_mask=None))
        assert seen == [(6, 6, 8)] * 6
        assert len(encoded) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_an_empty_history_starts_from_the_learned_state_and_the_null_key(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, plain=True)
    before = batch_of(scene, scorer, requests(scene, as_of=0))
    assert not before.history.mask.any()
    got = scores(scorer, before, stage)
    assert before.candidate_mask is not None
    assert got[before.candidate_mask].isfinite().all()
    codes = torch.tensor([3, 4])
    base = scores(scorer, before._replace(candidates=codes, candidate_mask=None), stage)
    close(base, base[:1].expand(6, -1))
    scorer.start.data += 1
    moved = scores(scorer, before._replace(candidates=codes, candidate_mask=None), stage)
    close(moved - base, scorer.items(codes).sum(dim=-1).detach().expand(6, -1))
    batch = batch_of(scene, scorer)._replace(candidates=codes, candidate_mask=None)
    filled = batch.history.mask.any(dim=1)
    with_start = scores(scorer, batch, stage)
    scorer.start.data -= 1
    assert torch.equal(with_start[filled], scores(scorer, batch, stage)[filled])


def test_one_interaction_is_enough(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    got = scores(scorer, batch_of(scene, scorer, requests(scene).take(np.array([1]))))
    assert got.isfinite().all()


def test_interactions_beyond_max_history_do_not_count(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer, every = build_scorer(scene), requests(scene, as_of=2_000_000_000)
    assert every.lengths.max() > scorer.config.max_history
    cut = dataclasses.replace(every, starts=np.maximum(every.starts, every.stops - scorer.config.max_history))
    assert torch.equal(scores(scorer, batch_of(scene, scorer, every)), scores(scorer, batch_of(scene, scorer, cut)))


@pytest.mark.parametrize("stage", STAGES)
def test_user_and_context_attributes_enter_every_score(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    base, mask = scores(scorer, batch, stage), batch.candidate_mask
    for name in ("user", "context"):
        features = getattr(batch, name)
        other = batch._replace(**{name: features._replace(numeric=features.numeric + 1)})
        assert ((scores(scorer, other, stage) - base)[mask].abs() > 1e-4).all()


def test_user_and_context_attributes_enter_the_deep_term_itself(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    assert batch.candidates is not None
    with torch.no_grad():
        prefixes, items = scorer.requests(batch), scorer.items(batch.candidates)
        assert prefixes.extra_RD is not None
        bare = scorer.deep_term(prefixes._replace(extra_RD=None), items)
        assert not torch.isclose(scorer.deep_term(prefixes, items), bare).any()


@pytest.mark.parametrize("stage", ["attention", "deep"])
def test_the_age_of_an_interaction_counts_in_units_of_the_time_scale(
    stage: Any, scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene, request_time="given", num_layers=0)
    batch = batch_of(scene, scorer)
    later = batch._replace(query_times=batch.query_times + 500_000)  # type: ignore[operator]
    seen, mask = batch.history.mask.any(dim=1), batch.candidate_mask
    change = (scores(scorer, later, stage) - scores(scorer, batch, stage)).abs().nan_to_num()
    assert (change[mask & seen[:, None]] > 1e-6).all()  # type: ignore[index, operator]
    assert not change[~seen].any()
    scorer.time_scale *= 1e9
    close(scores(scorer, later, stage), scores(scorer, batch, stage))


def test_ages_of_padding_are_zero(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, request_time="given")
    view = scorer.requests(batch_of(scene, scorer)).view
    assert view.time_ages is not None
    assert not view.time_ages[~view.mask].any()
    assert (view.time_ages[view.mask] > 0).all()
    assert (view.ages >= 0).all()


def test_an_interaction_after_the_moment_has_no_negative_age(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene)
    view = scorer.requests(batch_of(scene, scorer)._replace(query_times=torch.zeros(6, dtype=torch.int64))).view
    assert view.time_ages is not None
    assert not view.time_ages.any()


def test_dropout_is_off_in_eval(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, dropout=0.6, id_dropout=0.6)
    batch = batch_of(scene, scorer)
    assert torch.equal(scores(scorer, batch), scores(scorer, batch))
    torch.manual_seed(0)
    assert not torch.equal(scores(scorer.train(), batch), scores(scorer.train(), batch))


def test_empty_histories_give_no_nan_gradient(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene).train()
    batch = batch_of(scene, scorer, requests(scene, as_of=0))
    got = scorer(batch)
    got[batch.candidate_mask].sum().backward()
    grads = [weight.grad for weight in scorer.parameters() if weight.grad is not None]
    assert len(grads) > 20
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("slope", [1e6, -1e6])
def test_huge_slopes_give_no_nan(slope: float, scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, request_time="given")
    for name, weight in scorer.named_parameters():
        if "slope" in name:
            weight.data.fill_(slope)
    batch = batch_of(scene, scorer)
    got = scorer(batch)[batch.candidate_mask]
    got.sum().backward()
    assert got.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in scorer.parameters() if weight.grad is not None)


def test_a_masked_interaction_leaves_places_and_ages_of_the_others(
    scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    scorer = build_scorer(scene)
    batch = batch_of(scene, scorer)
    mask = batch.history.mask.clone()
    mask[0, 1] = False
    masked = batch._replace(history=batch.history._replace(mask=mask))
    one, other = scorer.requests(batch).view, scorer.requests(masked).view
    assert torch.equal(one.ages, other.ages)
    items = batch.history.items.clone()
    items[0, 1] = 13
    changed = masked._replace(history=masked.history._replace(items=items))
    close(scores(scorer, changed), scores(scorer, masked))
    assert not torch.allclose(scores(scorer, masked)[0], scores(scorer, batch)[0])


def test_nothing_at_or_after_the_moment_changes_a_score(
    build_log: Any, build_scene: Any, build_scorer: Callable[..., Scorer]
) -> None:
    log = build_log()
    scene = build_scene(log)
    scorer = build_scorer(scene, request_time="given")
    expected = scores(scorer, batch_of(scene, scorer))
    later = log["timestamp"] >= AS_OF
    assert 0 < later.sum() < len(log)
    other = log.assign(
        item_id=log["item_id"].where(~later, "i13"),
        weight=log["weight"].where(~later, 9).astype(np.float32),
        event_type=log["event_type"].where(~later, "view"),
    )
    for frame in (log[~later], other):
        changed = dataclasses.replace(scene, store=store_like(frame, scene.store))
        assert torch.equal(scores(scorer, batch_of(changed, scorer)), expected)


def store_like(log: pd.DataFrame, store: HistoryStore) -> HistoryStore:
    return HistoryStore.from_frame(
        log.reset_index(drop=True),
        store.item_vocabulary,
        behaviours=store.behaviour_vocabulary,
        extras=list(store.extras),
    )
