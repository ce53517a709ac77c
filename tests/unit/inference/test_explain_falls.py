"""Tests of all maskings at once against one masking after another, for every kind of model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.dataset.requests import make_slate_requests
from recattn.inference.doors import make_assembler, open_history
from recattn.inference.explain_falls import score_falls
from recattn.recommender import Recommender

SLATE = pd.DataFrame(
    {
        "user_id": ["u03", "u00", "u03", "u05", "u03", "short", "nobody"],
        "item_id": ["i01", "i02", "i11", "i05", "i07", "i01", "i04"],
    }
)
KINDS: dict[str, dict[str, Any]] = {
    "the usual": {"score": "attention", "attention": "transitions", "num_layers": 2},
    "retrieval alone": {"score": "retrieval", "num_layers": 2},
    "heads": {"score": "attention", "attention": "heads", "num_layers": 2},
    "deep and both": {"num_layers": 2},
    "heads of items": {"score": "attention", "attention": "both", "keys": "items", "num_layers": 2},
    "deep of items": {"keys": "items"},
    "separate keys": {"score": "attention", "attention": "heads", "keys": "separate"},
    "uniform": {"score": "attention", "attention": "heads", "matching": "uniform"},
    "mlp": {"score": "attention", "attention": "heads", "matching": "mlp"},
    "no encoder": {"score": "attention", "attention": "both", "num_layers": 0},
    "no encoder, retrieval": {"score": "retrieval", "num_layers": 0},
    "order": {"time": "order", "num_layers": 2},
    "deep, transitions": {"attention": "transitions"},
    "odd width": {"dim": 6, "num_heads": 2, "num_layers": 2},
}


@pytest.fixture(scope="module")
def log(world: Any) -> pd.DataFrame:
    """The world's log, with a user of one interaction and one of more than the model sees."""
    start = int(world.log["timestamp"].min())
    long = pd.DataFrame(
        {
            "user_id": "u03",
            "item_id": [f"i{n % 12:02}" for n in range(5)],
            "timestamp": [start + 86_400 * n for n in range(5)],
        }
    )
    short = pd.DataFrame({"user_id": ["short"], "item_id": ["i05"], "timestamp": [start + 5]})
    return pd.concat([world.log[["user_id", "item_id", "timestamp"]], long, short], ignore_index=True)


@pytest.fixture(scope="module")
def fitted(world: Any, small_model: Any, small_train: Any, stir: Any) -> Callable[[str], Recommender]:
    """`fitted("heads")`: a model of that kind, all of it stirred; the transition tables weigh something."""
    models: dict[str, Recommender] = {}

    def fit(kind: str) -> Recommender:
        if kind not in models:
            model = Recommender(small_model(**KINDS[kind]), small_train(max_epochs=1)).fit(world.train)
            stir(model)
            memory = model.scorer.memory
            if memory is not None:
                memory.weights.copy_(torch.tensor([0.3, 0.2, 0.1]))
            models[kind] = model
        return models[kind]

    return fit


def batch_of(model: Recommender, log: pd.DataFrame, slate: pd.DataFrame) -> Any:
    plan = model._fitted().blueprint
    given = log if model.config.time == "timestamp" else log.drop(columns="timestamp")
    store = open_history(plan, given)
    requests = make_slate_requests(store, slate, as_of=store.end)
    return make_assembler(plan, store, None).requests(requests)


@pytest.mark.parametrize("at_once", [1, 3, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_all_maskings_at_once_equal_one_after_another(
    fitted: Callable[[str], Recommender], log: pd.DataFrame, kind: str, at_once: int
) -> None:
    scorer = fitted(kind).scorer.eval()
    batch = batch_of(fitted(kind), log, SLATE)
    real = batch.candidate_mask
    with torch.inference_mode():
        expected = scorer(batch)
        whole, falls = score_falls(scorer, batch, at_once, 100)
        torch.testing.assert_close(whole[real], expected[real], rtol=1e-5, atol=1e-5)
        assert falls.shape == (*batch.history.items.shape, batch.candidates.shape[1])
        for place in range(falls.shape[1]):
            mask = batch.history.mask.clone()
            mask[:, place] = False
            other = scorer(batch._replace(history=batch.history._replace(mask=mask)))
            torch.testing.assert_close(falls[:, place][real], (expected - other)[real], rtol=1e-4, atol=1e-5)
    assert falls[real.any(dim=1)].abs().max() > 0.05
    assert not falls[~batch.history.mask].any()


@pytest.mark.parametrize("kind", ["order", "deep and both"])
def test_masking_the_oldest_interaction_is_as_if_it_were_not_in_the_log(
    fitted: Callable[[str], Recommender], log: pd.DataFrame, kind: str
) -> None:
    """Nothing else moves: ages count from the end, and places count as distances. (A gap has no earlier end then.)"""
    model = fitted(kind)
    if model.config.time == "timestamp":
        with torch.no_grad():
            model.scorer.history.gap.weight.zero_()
    given = log if model.config.time == "timestamp" else log.drop(columns="timestamp")
    users = ["u00", "u05", "u07"]
    slate = pd.DataFrame({"user_id": np.repeat(users, 3), "item_id": ["i01", "i06", "i11"] * 3})
    oldest = ~given["user_id"].isin(users) | given["user_id"].duplicated()
    found = model.explain(slate, history=given, top=99)
    first = given[given["user_id"].isin(users)].groupby("user_id")["item_id"].first()
    shorter = model.score(slate, history=given[oldest])["score"]
    score = model.score(slate, history=given)["score"]
    for row, user in enumerate(slate["user_id"]):
        lines = found[(found["row"] == row) & (found["history_item_id"] == first[user])]
        assert len(lines) == 1
        np.testing.assert_allclose(lines["change"].iloc[0], score[row] - shorter[row], rtol=1e-4, atol=1e-5)


def test_without_order_and_encoder_every_masking_is_a_removal(
    log: pd.DataFrame, world: Any, small_model: Any, small_train: Any, stir: Any
) -> None:
    """A model that weighs all interactions alike, of which the last one alone decides the rest."""
    changes = {"attention": "heads", "score": "attention", "matching": "uniform", "num_layers": 0, "time": "order"}
    model = Recommender(small_model(**changes), small_train(max_epochs=1)).fit(world.train.drop(columns="timestamp"))
    stir(model)
    with torch.no_grad():
        model.scorer.attention.recency.order_slope.zero_()
    given = log[log["user_id"] == "u07"].drop(columns="timestamp").reset_index(drop=True)
    slate = pd.DataFrame({"user_id": "u07", "item_id": ["i01", "i06", "i11"]})
    found, whole = model.explain(slate, history=given, top=99), model.score(slate, history=given)["score"]
    assert len(found) == 3 * len(given)
    for place in range(len(given)):
        shorter = model.score(slate, history=given.drop(index=place))["score"]
        lines = found[found["history_item_id"] == given["item_id"][place]].sort_values("row")
        np.testing.assert_allclose(lines["change"], whole - shorter, rtol=1e-4, atol=1e-5)
