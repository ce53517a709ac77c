"""Tests of the way from the catalog to the best k."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recattn.config import Stage
from recattn.inference.cascade import Cascade, CatalogView, rank_catalog
from recattn.inference.predictor import Predictor

WHOLE = Cascade()
SIZE = 14


@pytest.fixture(scope="module")
def bench(bench: Any) -> Any:
    """The shared model, with dear scores that often disagree with the cheap ones."""
    scorer = copy.deepcopy(bench.scorer)
    with torch.no_grad():
        scorer.attention_out.weight *= 5
        scorer.deep_out.weight *= 10
    return replace(bench, model=replace(bench.model, scorer=scorer))


def rank(
    bench: Any, cascade: Cascade, k: int = 5, stage: Stage = "deep", allowed: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The catalog ranked for all users."""
    batch = bench.assembler.requests(bench.requests(), with_candidates=False)
    with torch.inference_mode():
        catalog = CatalogView.of(bench.scorer, torch.arange(1, SIZE + 1))
        return rank_catalog(bench.scorer, batch, catalog, allowed, k, stage=stage, cascade=cascade)


@pytest.mark.parametrize("stage", ["attention", "deep"])
@pytest.mark.parametrize("keep", [SIZE, 1000])
def test_keeping_the_whole_catalog_equals_scoring_it_whole(bench: Any, stage: Stage, keep: int) -> None:
    codes, scores = rank(bench, WHOLE, SIZE, stage)
    staged_codes, staged_scores = rank(bench, Cascade(threshold=0, retrieval=keep, attention=keep), SIZE, stage)
    np.testing.assert_array_equal(staged_codes, codes)
    np.testing.assert_allclose(staged_scores, scores, rtol=1e-5, atol=1e-6)


def test_each_score_passes_its_best_on_to_the_next(bench: Any) -> None:
    batch = bench.assembler.requests(bench.requests(), with_candidates=False)
    with torch.inference_mode():
        prefixes, codes = bench.scorer.requests(batch), torch.arange(1, SIZE + 1)
        cheap = bench.scorer.with_memory(bench.scorer(batch, "retrieval"), prefixes, codes)
    by_retrieval = codes[cheap.topk(3).indices]  # with the memory's term, which is as cheap
    by_attention, _ = rank(bench, WHOLE, SIZE, "attention")
    deep, deep_scores = rank(bench, WHOLE, SIZE, "deep")
    staged, staged_scores = rank(bench, Cascade(threshold=0, retrieval=3, attention=2), 2)
    for row in range(len(staged)):
        kept = [code for code in by_attention[row].tolist() if code in by_retrieval[row].tolist()][:2]
        expected = [code for code in deep[row].tolist() if code in kept][:2]
        assert staged[row].tolist() == expected
        of_code = dict(zip(deep[row].tolist(), deep_scores[row].tolist(), strict=True))
        assert staged_scores[row].tolist() == pytest.approx([of_code[code] for code in expected], rel=1e-4, abs=1e-4)
    assert not np.array_equal(staged, deep[:, :2]), "the world is too easy: the cascade loses nothing"


def test_what_is_ruled_out_never_comes_back(bench: Any) -> None:
    rng = np.random.default_rng(0)
    allowed = torch.from_numpy(rng.random((12, SIZE)) < 0.4)
    allowed[3] = False
    for cascade in (WHOLE, Cascade(threshold=0, retrieval=6, attention=3), Cascade(threshold=0, retrieval=2)):
        codes, scores = rank(bench, cascade, 5, allowed=allowed)
        for row in range(12):
            found = codes[row][codes[row] > 0]
            assert allowed[row, found - 1].all()
            assert (scores[row][codes[row] == 0] == -torch.inf).all()
        assert (codes[3] == 0).all()


def test_a_stage_never_passes_on_fewer_than_k(bench: Any) -> None:
    codes, _ = rank(bench, Cascade(threshold=0, retrieval=1, attention=1), 7)
    assert (codes > 0).all()
    assert codes.shape[1] == 7


def test_k_beyond_the_catalog_gives_every_item_once(bench: Any) -> None:
    codes, _ = rank(bench, WHOLE, 99)
    assert [sorted(row) for row in codes.tolist()] == [list(range(1, SIZE + 1))] * 12


def test_retrieval_alone_is_never_staged(bench: Any) -> None:
    assert not Cascade(threshold=0).used_for(SIZE, "retrieval")
    codes, _ = rank(bench, Cascade(threshold=0, retrieval=2), 5, "retrieval")
    np.testing.assert_array_equal(codes, rank(bench, WHOLE, 5, "retrieval")[0])


def test_counted_transitions_alone_are_never_staged(bench: Any) -> None:
    scorer = copy.deepcopy(bench.scorer)
    scorer.attention = None
    counted = replace(bench, model=replace(bench.model, scorer=scorer))
    codes, scores = rank(counted, Cascade(threshold=0, retrieval=2), 5, "attention")
    whole_codes, whole = rank(counted, WHOLE, 5, "attention")
    np.testing.assert_array_equal(codes, whole_codes)
    np.testing.assert_array_equal(scores, whole)
    predictor = Predictor(scorer, bench.plan.table, cascade=Cascade(threshold=0))
    assert predictor.width(SIZE, "attention") == predictor.width(SIZE, "retrieval")


def test_catalogs_up_to_the_threshold_are_scored_whole() -> None:
    cascade = Cascade(threshold=100)
    assert not cascade.used_for(100, "deep")
    assert cascade.used_for(101, "deep")
    assert cascade.used_for(101, "attention")


@pytest.mark.parametrize("cascade", [WHOLE, Cascade(threshold=0, retrieval=3, attention=3)])
def test_equal_scores_go_by_item_code(bench: Any, cascade: Cascade) -> None:
    batch = bench.assembler.requests(bench.requests(["u00"]), with_candidates=False)
    scorer = copy.deepcopy(bench.scorer)
    scorer.memory.weights.zero_()
    with torch.inference_mode():
        one = CatalogView.of(scorer, torch.tensor([13]))
        same = CatalogView(torch.tensor([2, 5, 6, 11]), one.items.repeat(4, 1), one.biases.repeat(4))
        codes, scores = rank_catalog(scorer, batch, same, None, 3, stage="deep", cascade=cascade)
    assert len(set(scores[0].tolist())) == 1
    assert codes[0].tolist() == [2, 5, 6]
