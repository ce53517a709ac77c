"""Tests of what the cascade is said to lose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recattn.inference.cascade import Cascade, CatalogView
from recattn.training import DataModule, LitScorer
from recattn.training import cascade_quality as room
from recattn.training.cascade_quality import CascadeSample, cascade_quality, take, whole_scores

NAMES = {"valid/retrieval_recall_at_500", "valid/cascade_ndcg_at_20_loss"}
SIZE = 1000


def catalog(size: int = SIZE) -> CatalogView:
    """Codes 1..size; the embeddings are not looked at."""
    return CatalogView(torch.arange(1, size + 1), torch.zeros(size, 1), torch.zeros(size))


def test_a_truth_beyond_the_500_kept_is_lost_and_one_within_is_not() -> None:
    falling = -torch.arange(SIZE, dtype=torch.float32)
    retrieval = falling.repeat(4, 1)
    final = torch.zeros(4, SIZE)
    truth = torch.tensor([[500], [501], [501], [900]])
    for row, code in enumerate(truth[:, 0].tolist()):
        final[row, code - 1] = 1.0  # the final score puts each truth first ...
    final[2, 0] = 2.0  # ... but for this one, second
    found = cascade_quality(retrieval, final, truth, catalog())
    np.testing.assert_array_equal(found["retrieval_recall_at_500"], [1, 0, 0, 0])
    np.testing.assert_allclose(found["cascade_ndcg_at_20_loss"], [0, 1, 1 / np.log2(3), 1])


def test_a_final_score_that_misleads_makes_the_loss_negative() -> None:
    retrieval = -torch.arange(SIZE, dtype=torch.float32)[None]
    final = torch.zeros(1, SIZE)
    final[0, 600:620] = 2.0  # twenty wrong items that retrieval drops
    final[0, 4] = 1.0
    found = cascade_quality(retrieval, final, torch.tensor([[5]]), catalog())
    np.testing.assert_array_equal(found["cascade_ndcg_at_20_loss"], [-1.0])


def test_several_truths_and_truths_outside_the_catalog_count_as_asked_for() -> None:
    retrieval = -torch.arange(SIZE, dtype=torch.float32)[None]
    found = cascade_quality(retrieval, retrieval.clone(), torch.tensor([[3, 700, -1, 499, 0]]), catalog())
    np.testing.assert_array_equal(found["retrieval_recall_at_500"], [2 / 4])
    np.testing.assert_array_equal(found["cascade_ndcg_at_20_loss"], [0.0])


def test_what_is_not_allowed_takes_no_place_among_the_500() -> None:
    retrieval = -torch.arange(SIZE, dtype=torch.float32)[None]
    retrieval[0, :100] = -torch.inf
    final = retrieval.clone()
    found = cascade_quality(retrieval, final, torch.tensor([[600]]), catalog())
    np.testing.assert_array_equal(found["retrieval_recall_at_500"], [1.0])
    few = torch.full((1, SIZE), -torch.inf)
    few[0, 7] = 0.0
    found = cascade_quality(few, few.clone(), torch.tensor([[8]]), catalog())
    np.testing.assert_array_equal(found["retrieval_recall_at_500"], [1.0])
    found = cascade_quality(few, few.clone(), torch.tensor([[9]]), catalog())
    np.testing.assert_array_equal(found["retrieval_recall_at_500"], [0.0])


@pytest.mark.parametrize("batches", [[32] * 70, [7] * 300, [1] * 2100, [2100], [1000, 3, 900]])
def test_the_requests_looked_at_are_at_most_500_and_spread_evenly(batches: list[int]) -> None:
    sample = CascadeSample(sum(batches), 3000, scored=True)
    starts = np.cumsum([0, *batches[:-1]])
    rows = [start + row for start, count in zip(starts, batches, strict=True) for row in sample.rows(start, count)]
    assert rows == list(range(0, sum(batches), sample.step))
    assert 350 < len(rows) <= 500


def test_fewer_requests_are_looked_at_where_each_costs_a_large_catalog() -> None:
    assert CascadeSample(500, 46_000, scored=True).step == 1
    assert len(CascadeSample(2000, 46_000, scored=False).rows(0, 2000)) <= room.PAIRS // 46_000
    assert len(CascadeSample(3, 10**9, scored=False).rows(0, 3)) == 1


@pytest.fixture
def small_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cascade that keeps 2 and lists of 2, so that a small catalog can lose something."""
    for name, value in {"KEPT": 2, "K": 2, "CELLS": 30}.items():
        monkeypatch.setattr(room, name, value)
    monkeypatch.setattr("recattn.training.lit_scorer.KEPT", 2)


def logged(data: Any, scorer: Any, trainer: Any, cascade: Cascade | None = None) -> dict[str, float]:
    """What a validation logs."""
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train, data.validation)
    lit = LitScorer(scorer, data.blueprint.train, cascade=cascade)
    return trainer().validate(lit, datamodule=module, verbose=False)[0]


def stirred(data: Any) -> Any:
    """A scorer whose scores disagree."""
    torch.manual_seed(0)
    scorer = data.blueprint.build()
    scorer.memory.fill(data.assembler.store)
    with torch.no_grad():
        for parameter in scorer.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return scorer


def test_a_validation_logs_the_same_whether_the_catalog_goes_through_the_cascade_or_not(
    prepared: Any, quiet_trainer: Any, small_cut: None
) -> None:
    data = prepared(valid=True, dropout=0.0)
    scorer = stirred(data)
    whole = logged(data, scorer, quiet_trainer)
    staged = logged(data, scorer, quiet_trainer, Cascade(threshold=2, retrieval=5, attention=4))
    names = {"valid/retrieval_recall_at_2", "valid/cascade_ndcg_at_2_loss"}
    assert names <= set(whole)
    for name in names:
        assert staged[name] == pytest.approx(whole[name], abs=1e-6)
    assert 0 < whole["valid/retrieval_recall_at_2"] < 1
    assert whole["valid/cascade_ndcg_at_2_loss"] != 0


def test_a_small_catalog_and_a_retrieval_model_log_neither(
    prepared: Any, quiet_trainer: Any, request: pytest.FixtureRequest
) -> None:
    data = prepared(valid=True)
    assert not NAMES & set(logged(data, data.blueprint.build(), quiet_trainer))
    request.getfixturevalue("small_cut")
    data = prepared(valid=True, score="retrieval")
    assert set(logged(data, data.blueprint.build(), quiet_trainer)) == {"valid/ndcg_at_10", "valid/recall_at_10"}


def test_a_few_requests_at_a_time_are_scored_as_all_at_once(prepared: Any, small_cut: None) -> None:
    data = prepared(valid=True)
    scorer = stirred(data).eval()
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train, data.validation)
    batch = next(iter(module.val_dataloader()))
    with torch.inference_mode():
        prefixes = scorer.requests(batch.requests)
        view = CatalogView.of(scorer, scorer.items.catalog())
        at_once = scorer(batch.requests)
        assert not np.allclose(at_once, scorer.score(prefixes, view.items, view.biases)), "nothing is remembered"
        np.testing.assert_allclose(whole_scores(scorer, prefixes, view), at_once, rtol=1e-4, atol=1e-5)
        part = whole_scores(scorer, take(prefixes, torch.tensor([2, 0])), view)
        np.testing.assert_allclose(part, at_once[[2, 0]], rtol=1e-4, atol=1e-5)
