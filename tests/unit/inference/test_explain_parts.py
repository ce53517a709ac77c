"""Tests of what scores are sums of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.inference import explain_parts as parts_module
from recattn.recommender import Recommender

SLATE = pd.DataFrame(
    {
        "user_id": ["u03", "u00", "nobody", "u03", "u05", "u03"],
        "item_id": ["i01", "i02", "i03", "i13", "i05", "nowhere"],
        "device": ["desk", "phone", "desk", "desk", "phone", "desk"],
        "hour": [1.0, 2.0, 1.0, 1.0, 3.0, 1.0],
    }
)
KINDS: dict[str, dict[str, Any]] = {
    "the usual": {"score": "attention", "attention": "transitions"},
    "retrieval alone": {"score": "retrieval"},
    "heads": {"score": "attention", "attention": "heads"},
    "both and deep": {},
    "items": {"score": "attention", "attention": "both", "keys": "items"},
    "separate": {"score": "attention", "attention": "both", "keys": "separate"},
    "mlp": {"score": "attention", "attention": "heads", "matching": "mlp"},
    "uniform, order": {"score": "attention", "attention": "heads", "matching": "uniform", "time": "order"},
}


@pytest.fixture(scope="module")
def asked(rich: Recommender, world: Any) -> dict[str, Any]:
    return {"history": world.log, "users": world.users}


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_of_a_row_add_up_to_its_score(
    kind: str, world: Any, small_model: Any, small_train: Any, stir: Any
) -> None:
    model = Recommender(small_model(**KINDS[kind]), small_train(max_epochs=1)).fit(world.train)
    stir(model)
    if model.scorer.memory is not None:
        model.scorer.memory.weights.copy_(torch.tensor([0.3, 0.2, 0.1]))
    log = world.log if model.config.time == "timestamp" else world.log.drop(columns="timestamp")
    slate = SLATE[["user_id", "item_id"]].replace("i13", "i11")
    found, scores = model.parts(slate, history=log), model.score(slate, history=log)["score"]
    assert sorted(set(found["row"])) == [0, 1, 2, 3, 4]
    sums = found.groupby("row")["value"].sum()
    np.testing.assert_allclose(sums, scores[:5], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.groupby("row")["score"].first(), scores[:5], rtol=1e-5, atol=1e-5)
    assert ("attention" in set(found["term"])) == model.config.has_heads
    assert found["value"].abs().groupby(found["term"]).max().min() > 1e-4, "a term that is always nothing"


def test_features_and_deep_layers_have_terms_of_their_own(rich: Recommender, asked: dict[str, Any]) -> None:
    found, scores = rich.parts(SLATE, **asked), rich.score(SLATE, **asked)["score"]
    np.testing.assert_allclose(found.groupby("row")["value"].sum(), scores[:5], rtol=1e-4, atol=1e-5)
    terms = found.loc[found["row"] == 0, "term"].drop_duplicates().tolist()
    assert terms == ["state", "features", "bias", "attention", "transitions", "deep"]


def test_attention_has_a_line_for_each_head_and_interaction_and_one_for_nothing(
    rich: Recommender, asked: dict[str, Any], world: Any
) -> None:
    found = rich.parts(SLATE, **asked)
    mine = found[(found["row"] == 0) & (found["term"] == "attention")]
    history = world.log[world.log["user_id"] == "u03"].sort_values("timestamp")
    assert mine["head"].tolist() == [1] * 10 + [2] * 10
    assert mine["history_item_id"].isna().tolist() == [True, *[False] * 9] * 2
    assert mine["history_item_id"].dropna().tolist() == history["item_id"].tolist() * 2
    assert mine["history_timestamp"].dropna().tolist() == history["timestamp"].tolist() * 2
    np.testing.assert_allclose(mine.groupby("head")["weight"].sum(), 1.0, rtol=1e-5)
    assert found.loc[found["term"] != "attention", "weight"].isna().all()
    tables = found[(found["row"] == 0) & (found["term"] == "transitions")]
    assert tables["table"].tolist() == [1, 2, 3]
    assert tables["head"].isna().all()


def test_a_request_without_history_attends_to_nothing_alone(rich: Recommender, asked: dict[str, Any]) -> None:
    found = rich.parts(SLATE, **asked)
    nobody = found[(found["row"] == 2) & (found["term"] == "attention")]
    assert nobody["weight"].tolist() == [1.0, 1.0]
    assert nobody["history_item_id"].isna().all()


def test_pieces_within_the_budget_change_nothing(
    rich: Recommender, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rich.parts(SLATE, **asked)
    monkeypatch.setattr(parts_module, "BUDGET", 300)
    pd.testing.assert_frame_equal(rich.parts(SLATE, **asked), whole, rtol=1e-4, atol=1e-5)


def test_a_slate_of_unknown_items_has_no_line(rich: Recommender, asked: dict[str, Any]) -> None:
    whole, nothing = rich.parts(SLATE, **asked), rich.parts(SLATE.tail(1), **asked)
    assert len(nothing) == 0
    assert list(nothing) == list(whole)


def test_whole_numbers_stay_whole_as_ids(world: Any, small_model: Any, small_train: Any) -> None:
    log = world.log[["user_id", "item_id", "timestamp"]].assign(item_id=world.log["item_id"].str[1:].astype(int))
    model = Recommender(small_model(), small_train(max_epochs=1)).fit(log)
    found = model.parts(pd.DataFrame({"user_id": ["u03"], "item_id": [4]}), history=log)
    assert found["history_item_id"].dtype == "Int64"
    assert set(found["history_item_id"].dropna()) == set(log.loc[log["user_id"] == "u03", "item_id"])
