"""Tests of the roads of inference where attention has embeddings of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.batching.assemble import Assembler
from recattn.config import STAGES, Stage
from recattn.dataset.tables import UserTable
from recattn.inference import load_model, save_model
from recattn.inference.cascade import Cascade, CatalogView, rank_catalog
from recattn.inference.explain import maskings
from recattn.inference.predictor import Predictor
from recattn.recommender import Recommender

SIZE = 14


@pytest.fixture(scope="module")
def bench(
    bench: Any, world: Any, features: Any, small_model: Any, small_train: Any, stir: Any, tmp_path_factory: Any
) -> Any:
    """A model of the shared world that weighs by separate embeddings, with transitions and all attributes."""
    recommender = Recommender(small_model(keys="separate"), small_train(), **features)
    recommender.fit(world.train, items=world.items, users=world.users)
    stir(recommender)
    path = tmp_path_factory.mktemp("separate") / "model"
    recommender.save(path)
    model = load_model(path)
    plan = model.blueprint
    assembler = Assembler(bench.store, plan.config, UserTable.build(world.users, plan.users), plan.context)
    return replace(bench, model=model, assembler=assembler)


def ranked(bench: Any, cascade: Cascade, k: int, stage: Stage) -> tuple[torch.Tensor, torch.Tensor]:
    batch = bench.assembler.requests(bench.requests(), with_candidates=False)
    with torch.inference_mode():
        catalog = CatalogView.of(bench.scorer, torch.arange(1, SIZE + 1))
        return rank_catalog(bench.scorer, batch, catalog, None, k, stage=stage, cascade=cascade)


def test_fitting_gives_a_second_table_of_the_size_of_the_first(bench: Any) -> None:
    weights = bench.scorer.state_dict()
    assert weights["items.attention_ids.weight"].shape == weights["items.ids.weight"].shape == (2 + 12, 8)


@pytest.mark.parametrize("stage", ["attention", "deep"])
def test_the_cascade_that_keeps_all_equals_scoring_the_catalog_whole(bench: Any, stage: Stage) -> None:
    codes, scores = ranked(bench, Cascade(), SIZE, stage)
    staged_codes, staged_scores = ranked(bench, Cascade(threshold=0, retrieval=SIZE, attention=SIZE), SIZE, stage)
    np.testing.assert_array_equal(staged_codes, codes)
    np.testing.assert_allclose(staged_scores, scores, rtol=1e-5, atol=1e-6)


def test_a_cascade_that_drops_items_gives_the_others_their_full_score(bench: Any) -> None:
    codes, scores = ranked(bench, Cascade(), SIZE, "deep")
    staged, staged_scores = ranked(bench, Cascade(threshold=0, retrieval=6, attention=3), 3, "deep")
    for row in range(len(staged)):
        of_code = dict(zip(codes[row].tolist(), scores[row].tolist(), strict=True))
        expected = [of_code[code] for code in staged[row].tolist()]
        assert staged_scores[row].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("stage", STAGES)
def test_the_best_of_the_catalog_score_in_a_slate_as_they_were_ranked(bench: Any, stage: Stage) -> None:
    predictor = Predictor(bench.scorer, bench.plan.table)
    requests = bench.requests(["u01", "u04"])
    codes, scores = predictor.top_k(bench.assembler, requests, 5, stage=stage)
    items = bench.store.item_vocabulary.decode(codes.ravel())
    slate = bench.slate(pd.DataFrame({"user_id": np.repeat(["u01", "u04"], 5), "item_id": items}))
    found = predictor.score(bench.assembler, slate, stage=stage)
    np.testing.assert_allclose(found, scores.ravel(), rtol=1e-4, atol=1e-5)


def test_query_inputs_of_the_catalog_are_looked_up_once_a_model(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    look: Callable[..., Any] = bench.scorer.items.attention
    monkeypatch.setattr(bench.scorer.items, "attention", lambda codes: (seen.append(codes.numel()), look(codes))[1])
    batch = bench.assembler.requests(bench.requests(), with_candidates=False)
    with torch.inference_mode():
        catalog = CatalogView.of(bench.scorer, torch.arange(1, SIZE + 1))
        assert seen == [SIZE]
        assert catalog.items.shape == (SIZE, 2 * 8)
        for cascade in (Cascade(), Cascade(threshold=0, retrieval=6, attention=3)):
            rank_catalog(bench.scorer, batch, catalog, None, 3, stage="deep", cascade=cascade)
    assert seen[1:] == [batch.history.items.numel()] * 2, "after that, histories alone"


def test_masking_an_interaction_takes_its_separate_key_too(bench: Any) -> None:
    """The change of the score is the one without the item's key, whatever that key is."""
    slate = bench.slate(pd.DataFrame({"user_id": ["u03"] * 2, "item_id": ["i01", "i13"]}))
    predictor = Predictor(bench.scorer, bench.plan.table)
    ((rows, whole, falls),) = maskings(predictor, bench.assembler, slate)
    batch = bench.assembler.requests(slate)
    assert falls.shape == (len(rows), 2)
    for place in range(len(rows)):
        mask, items = batch.history.mask.clone(), batch.history.items.clone()
        mask[0, place], items[0, place] = False, 13
        with torch.inference_mode():
            other = bench.scorer(batch._replace(history=batch.history._replace(mask=mask, items=items)))[0]
        np.testing.assert_allclose(falls[place], whole - other.numpy(), rtol=1e-3, atol=2e-5)
    assert np.abs(falls).max() > 0.05


def test_it_is_saved_and_loaded_as_it_was(bench: Any, tmp_path: Any) -> None:
    save_model(bench.model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.blueprint.config.keys == "separate"
    table = again.scorer.items.attention_ids
    assert table is not None
    assert torch.equal(table.weight, bench.scorer.items.attention_ids.weight)
    batch = bench.assembler.requests(bench.requests())
    with torch.inference_mode():
        assert torch.equal(again.scorer(batch), bench.scorer(batch))
