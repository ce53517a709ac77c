"""Item-kNN against a plain loop, a planted answer, and its edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.baselines import ItemKNN, neighbors
from recattn.errors import ConfigError


def log_of(pairs: list[tuple[int, int]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(timestamp=lambda frame: np.arange(len(frame)))


def checkerboard(size: int) -> pd.DataFrame:
    """Users like items of their own parity, but user u has not touched item u."""
    return log_of([(u, i) for u in range(size) for i in range(size) if (u + i) % 2 == 0 and u != i])


def random_log(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return log_of(list(zip(rng.integers(12, size=150).tolist(), rng.integers(20, size=150).tolist(), strict=True)))


def plain_similarities(log: pd.DataFrame, shrinkage: float) -> np.ndarray:
    """float64 [20, 20] by item id, by loops over pairs."""
    touched = log.groupby("item_id")["user_id"].agg(set)
    result = np.zeros((20, 20))
    for i, people in touched.items():
        for j, others in touched.items():
            if i != j:
                both = len(people & others)
                result[i, j] = both / (np.sqrt(len(people) * len(others)) + shrinkage)
    return result


@pytest.mark.parametrize("max_history", [None, 3])
def test_the_held_out_diagonal_of_a_checkerboard_is_found(max_history: int | None) -> None:
    log = checkerboard(12)
    found = ItemKNN(max_history=max_history).fit(log).recommend(history=log, k=1)
    assert (found["item_id"] == found["user_id"]).all()
    assert (found["score"] > 0).all()


def test_scores_equal_a_plain_loop_over_pairs_of_items() -> None:
    log = random_log()
    model = ItemKNN(neighbors=20, shrinkage=2.5, max_history=None).fit(log)
    slate = pd.DataFrame([(u, i) for u in range(12) for i in range(20)], columns=["user_id", "item_id"])
    scores = model.score(slate, history=log)["score"].to_numpy().reshape(12, 20)
    similarity = plain_similarities(log, 2.5)
    expected = np.array(
        [similarity[sorted(set(log.loc[log["user_id"] == u, "item_id"]))].sum(axis=0) for u in range(12)]
    )
    np.testing.assert_allclose(scores[expected > 0], expected[expected > 0], rtol=1e-5)
    assert (scores[expected == 0] < 0).all()


def test_only_the_nearest_neighbours_speak_with_ties_to_the_first_of_the_catalog() -> None:
    log = random_log(1)
    model = ItemKNN(neighbors=4, shrinkage=0, max_history=1).fit(log)
    order = model.items.vocabulary.ids.astype(int)
    similarity = plain_similarities(log, 0)[np.ix_(order, order)]
    kept = np.zeros_like(similarity)
    for row in range(20):
        best = np.argsort(-similarity[row], kind="stable")[:4]
        kept[row, best] = similarity[row, best]
    asked = pd.DataFrame({"user_id": range(20), "item_id": order, "timestamp": 0})
    slate = asked[["user_id"]].merge(pd.DataFrame({"item_id": order}), how="cross")
    scores = model.score(slate, history=asked)["score"].to_numpy().reshape(20, 20)
    np.testing.assert_allclose(np.maximum(scores, 0), kept, rtol=1e-6)


def test_blocks_of_items_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log(2)
    whole = ItemKNN(neighbors=5).fit(log).recommend(history=log, k=20, exclude_seen=False)
    monkeypatch.setattr(neighbors, "_PAIRS_AT_ONCE", 30)
    pd.testing.assert_frame_equal(ItemKNN(neighbors=5).fit(log).recommend(history=log, k=20, exclude_seen=False), whole)


def test_coming_back_to_an_item_counts_once() -> None:
    log = random_log(3)
    again = pd.concat([log, log.assign(timestamp=log["timestamp"] + 1000)], ignore_index=True)
    slate = pd.DataFrame({"user_id": 3, "item_id": range(20)})
    once = ItemKNN(max_history=None).fit(log).score(slate, history=log)
    twice = ItemKNN(max_history=None).fit(again).score(slate, history=again)
    pd.testing.assert_series_equal(once["score"], twice["score"])


def test_max_history_lets_only_the_latest_speak() -> None:
    log = random_log(4)
    model = ItemKNN(max_history=2).fit(log)
    mine = log[log["user_id"] == 5]
    slate = pd.DataFrame({"user_id": 5, "item_id": range(20)})
    pd.testing.assert_frame_equal(
        model.score(slate, history=mine.tail(2)), model.score(slate, history=mine), check_exact=True
    )


def test_empty_history_gets_the_popular_items_below_zero() -> None:
    log = log_of([(1, 7), (2, 7), (3, 7), (1, 8), (2, 8), (1, 9)])
    found = ItemKNN().fit(log).recommend([3], history=log, as_of=0, k=3)
    assert found["item_id"].tolist() == [7, 8, 9]
    assert found["score"].between(-1, 0, inclusive="left").all()


def test_item_with_an_only_user_of_one_item_has_no_neighbours() -> None:
    log = log_of([(1, 5), (2, 6), (2, 7)])
    found = ItemKNN().fit(log).recommend([1], history=log, k=3)
    assert (found["score"] < 0).all()
    assert set(found["item_id"]) == {6, 7}


def test_order_only_histories_are_enough() -> None:
    log = checkerboard(8).drop(columns="timestamp")
    found = ItemKNN().fit(log, time="order").recommend(history=log, k=1)
    assert (found["item_id"] == found["user_id"]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbors": 0}, "ItemKNN.neighbors must be at least 1, got 0"),
        ({"shrinkage": -1}, "ItemKNN.shrinkage must be at least 0, got -1"),
        ({"max_history": 0}, "ItemKNN.max_history must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ItemKNN(**settings).fit(checkerboard(4))
