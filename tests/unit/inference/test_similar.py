"""Tests of items whose embeddings point the same way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recattn.errors import DataError
from recattn.inference.model import FittedModel
from recattn.inference.similar import similar


def cosines(model: FittedModel) -> np.ndarray:
    """[N, N], by the definition."""
    with torch.inference_mode():
        e = model.scorer.items(model.scorer.items.catalog()).double().numpy()
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    return e @ e.T


def test_the_nearest_are_those_of_highest_cosine(model: FittedModel) -> None:
    ids, found = model.blueprint.table.vocabulary.ids, similar(model, ["i04", "i00"], 3)
    assert list(found.columns) == ["item_id", "similar_item_id", "score", "rank"]
    assert found["item_id"].tolist() == ["i04"] * 3 + ["i00"] * 3
    assert found["rank"].tolist() == [1, 2, 3] * 2
    for item, lines in found.groupby("item_id"):
        place = ids.tolist().index(item)
        row = cosines(model)[place]
        row[place] = -2
        assert lines["similar_item_id"].tolist() == ids[np.argsort(-row)[:3]].tolist()
        np.testing.assert_allclose(lines["score"], np.sort(row)[::-1][:3], rtol=1e-5)


def test_an_item_is_not_similar_to_itself(model: FittedModel) -> None:
    every = model.blueprint.table.vocabulary.ids
    found = similar(model, every, 99)
    assert len(found) == len(every) * (len(every) - 1)
    assert (found["item_id"] != found["similar_item_id"]).all()


def test_items_that_cannot_be_recommended_are_not_named(model: FittedModel) -> None:
    recommendable = model.blueprint.table.recommendable.copy()
    recommendable[model.blueprint.table.vocabulary.encode(["i05"])] = False
    table = replace(model.blueprint.table, recommendable=recommendable)
    other = FittedModel(replace(model.blueprint, table=table), model.scorer)
    assert "i05" not in similar(other, ["i04"], 99)["similar_item_id"].tolist()
    assert len(similar(other, ["i05"], 99)) == 13


def test_an_unknown_item_is_refused_with_the_nearest(model: FittedModel) -> None:
    with pytest.raises(DataError, match=r"1 items are not in the model's catalog: 'i044'\. Did you mean 'i04'\?"):
        similar(model, ["i03", "i044"], 2)
    with pytest.raises(DataError, match=r"1 items are not in the model's catalog: 4\.$"):
        similar(model, [4], 2)


def test_no_items_give_no_rows(model: FittedModel) -> None:
    found = similar(model, [], 2)
    assert len(found) == 0
    assert list(found.columns) == ["item_id", "similar_item_id", "score", "rank"]
