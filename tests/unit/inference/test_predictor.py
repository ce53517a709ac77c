"""Tests of scores in bounded batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.inference import predictor as predictor_module
from recattn.inference.cascade import Cascade
from recattn.inference.predictor import Predictor, not_seen, to_device

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def predictor_of(bench: Any, **named: Any) -> Predictor:
    return Predictor(bench.scorer, bench.plan.table, **named)


def ragged_slate(bench: Any, seed: int = 0) -> pd.DataFrame:
    """Requests of 1 to 9 candidates at different moments, their rows mixed, an unknown item among them."""
    rng = np.random.default_rng(seed)
    rows = [
        (user, f"i{item:02}", moment, ("phone", "desk")[user % 2], float(user))
        for user in range(12)
        for moment in rng.choice(bench.store.times, 2, replace=False).tolist()
        for item in rng.choice(14, rng.integers(1, 10), replace=False).tolist()
    ]
    slate = pd.DataFrame(rows, columns=["user", "item_id", "timestamp", "device", "hour"])
    slate["user_id"] = [f"u{user:02}" for user in slate.pop("user")]
    slate.loc[5, "item_id"] = "nowhere"
    return slate.iloc[rng.permutation(len(slate))].reset_index(drop=True)


def test_a_score_is_what_the_scorer_says_of_that_one_candidate(bench: Any) -> None:
    slate = ragged_slate(bench)
    scores = predictor_of(bench).score(bench.assembler, bench.slate(slate))
    requests = bench.slate(slate)
    for place, row in enumerate(requests.rows.tolist()):
        alone = bench.slate(slate.iloc[[row]])
        with torch.inference_mode():
            expected = float(bench.scorer(bench.assembler.requests(alone))[0, 0])
        if slate["item_id"][row] == "nowhere":
            assert np.isnan(scores[place])
        else:
            assert scores[place] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("budget", [1, 3_000, 20_000])
@pytest.mark.parametrize("stage", ["retrieval", "attention", "deep"])
def test_small_chunks_change_no_score(bench: Any, monkeypatch: pytest.MonkeyPatch, budget: int, stage: Any) -> None:
    requests = bench.slate(ragged_slate(bench))
    whole = predictor_of(bench).score(bench.assembler, requests, stage=stage)
    best = predictor_of(bench).top_k(bench.assembler, bench.requests(), 5, stage=stage)
    monkeypatch.setattr(predictor_module, "BUDGET", budget)
    np.testing.assert_allclose(
        predictor_of(bench).score(bench.assembler, requests, stage=stage), whole, **CLOSE, equal_nan=True
    )
    codes, scores = predictor_of(bench).top_k(bench.assembler, bench.requests(), 5, stage=stage)
    np.testing.assert_array_equal(codes, best[0])
    np.testing.assert_allclose(scores, best[1], **CLOSE)


def test_chunks_hold_every_request_once(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    lengths, counts = rng.integers(0, 30, 1500), rng.integers(0, 200, 1500)
    for budget in (1, 10_000, predictor_module.BUDGET):
        monkeypatch.setattr(predictor_module, "BUDGET", budget)
        chunks = list(predictor_of(bench)._chunks(lengths, counts))
        assert sorted(np.concatenate(chunks).tolist()) == list(range(1500))
        assert max(map(len, chunks)) <= 512


def test_the_order_of_requests_changes_nothing(bench: Any) -> None:
    requests = bench.requests()
    shuffled = np.random.default_rng(0).permutation(len(requests))
    codes, scores = predictor_of(bench).top_k(bench.assembler, requests, 6)
    other_codes, other_scores = predictor_of(bench).top_k(bench.assembler, requests.take(shuffled), 6)
    np.testing.assert_array_equal(other_codes, codes[shuffled])
    np.testing.assert_allclose(other_scores, scores[shuffled], **CLOSE)


def test_best_items_are_those_of_highest_score(bench: Any) -> None:
    users = bench.store.users.tolist()
    slate = pd.DataFrame(
        [(user, item) for user in users for item in bench.plan.table.vocabulary.ids], columns=["user_id", "item_id"]
    )
    scores = predictor_of(bench).score(bench.assembler, bench.slate(slate)).reshape(len(users), -1)
    codes, values = predictor_of(bench).top_k(bench.assembler, bench.requests(), 4, exclude_seen=False)
    np.testing.assert_array_equal(codes, np.argsort(-scores, axis=1, kind="stable")[:, :4] + 1)
    np.testing.assert_allclose(values, -np.sort(-scores, axis=1)[:, :4], **CLOSE)


@pytest.mark.parametrize("cascade", [Cascade(), Cascade(threshold=0, retrieval=3, attention=2)])
def test_seen_items_are_left_out(bench: Any, cascade: Cascade) -> None:
    codes, scores = predictor_of(bench, cascade=cascade).top_k(bench.assembler, bench.requests(), 9)
    for row, (start, stop) in enumerate(zip(bench.store.offsets, bench.store.offsets[1:], strict=False)):
        found = codes[row][codes[row] > 0]
        assert len(found) == 5
        assert not set(found.tolist()) & set(bench.store.items[start:stop].tolist())
        assert (scores[row][codes[row] == 0] == -np.inf).all()


def test_items_seen_before_max_history_are_left_out_too(build_bench: Callable[..., Any], world: Any) -> None:
    first = world.log[world.log["user_id"] == "u00"].head(1)
    later = pd.concat([first.assign(item_id="i07", timestamp=first["timestamp"] + 100 * n) for n in range(1, 15)])
    bench = build_bench(pd.concat([first, later], ignore_index=True))
    codes, _ = predictor_of(bench).top_k(bench.assembler, bench.requests(), 14)
    unseen = {f"i{n:02}" for n in range(14)} - {first["item_id"].iloc[0], "i07"}
    assert set(bench.plan.table.vocabulary.decode(codes[0][codes[0] > 0])) == unseen


@pytest.mark.parametrize("cascade", [Cascade(), Cascade(threshold=0, retrieval=3, attention=2)])
def test_an_item_is_recommended_from_the_moment_it_is_available(bench: Any, cascade: Cascade) -> None:
    since = np.arange(15) * 10
    table = replace(bench.plan.table, available_from=since)
    predictor = Predictor(bench.scorer, table, cascade=cascade)
    for moment in (-1, 10, 69, 70, 71, 1000):
        requests = bench.requests(["u00"], as_of=moment)
        codes, _ = predictor.top_k(bench.assembler, requests, 14, exclude_seen=False)
        assert sorted(codes[codes > 0].tolist()) == [code for code in range(1, 15) if since[code] <= moment]


def test_an_item_must_be_both_available_and_unseen(bench: Any) -> None:
    requests = bench.requests()
    assert requests.as_of is not None
    since = np.where(np.arange(15) % 2, requests.as_of[0] + 1, 0)
    predictor = Predictor(bench.scorer, replace(bench.plan.table, available_from=since))
    codes, _ = predictor.top_k(bench.assembler, requests, 14)
    for row, (start, stop) in enumerate(zip(requests.starts, requests.stops, strict=True)):
        seen = set(bench.store.items[start:stop].tolist())
        assert sorted(codes[row][codes[row] > 0].tolist()) == [code for code in range(2, 15, 2) if code not in seen]


def test_candidates_are_chosen_from(bench: Any) -> None:
    codes, _ = predictor_of(bench).top_k(
        bench.assembler, bench.requests(), 9, exclude_seen=False, candidates=np.array([3, 11, 14])
    )
    assert [sorted(row[row > 0].tolist()) for row in codes] == [[3, 11, 14]] * 12


def test_items_that_cannot_be_recommended_never_are(bench: Any) -> None:
    recommendable = bench.plan.table.recommendable.copy()
    recommendable[[2, 14]] = False
    predictor = Predictor(bench.scorer, replace(bench.plan.table, recommendable=recommendable))
    for candidates in (None, np.array([1, 2, 14])):
        codes, _ = predictor.top_k(bench.assembler, bench.requests(), 14, exclude_seen=False, candidates=candidates)
        assert not set(codes.ravel().tolist()) & {2, 14}


def test_no_requests_give_no_rows(bench: Any) -> None:
    codes, scores = predictor_of(bench).top_k(bench.assembler, bench.requests([]), 3)
    assert codes.shape == scores.shape == (0, 3)
    empty = bench.slate(pd.DataFrame({"user_id": [], "item_id": []}))
    assert predictor_of(bench).score(bench.assembler, empty).shape == (0,)


def test_threads_and_mode_are_given_back(bench: Any) -> None:
    before = torch.get_num_threads()
    bench.scorer.train()
    predictor = predictor_of(bench, threads=before + 1, device="cpu")
    with predictor.ready():
        assert torch.get_num_threads() == before + 1
        assert not bench.scorer.training
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == before
    assert bench.scorer.training
    bench.scorer.eval()


def test_threads_and_mode_are_given_back_after_an_error(bench: Any) -> None:
    before = torch.get_num_threads()
    predictor = predictor_of(bench, threads=before + 1)
    with pytest.raises(ZeroDivisionError), predictor.ready():
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()
    assert not bench.scorer.training


def test_scoring_draws_no_random_number(bench: Any) -> None:
    state = torch.get_rng_state()
    predictor_of(bench).top_k(bench.assembler, bench.requests(), 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_not_seen_is_false_for_what_is_among_the_seen() -> None:
    seen = torch.tensor([[2, 4, 0], [0, 0, 0]])
    assert not_seen(seen, torch.tensor([1, 2, 4, 5]), 6).tolist() == [[True, False, False, True], [True] * 4]


def test_a_batch_moves_with_its_features(bench: Any) -> None:
    batch = bench.assembler.requests(bench.slate(ragged_slate(bench)))
    moved = to_device(batch, torch.device("meta"))
    assert type(moved) is type(batch)
    assert moved.history.items.device.type == moved.user.numeric.device.type == "meta"
    assert moved.candidates.device.type == moved.context.categorical.device.type == "meta"
