"""Transitions against a plain loop, a planted answer, and their edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.baselines import Transition
from recattn.errors import ConfigError


def log_of(histories: dict[int, list[int]]) -> pd.DataFrame:
    """One row a step, all steps a second apart."""
    rows = [(user, item) for user, items in histories.items() for item in items]
    return pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(timestamp=lambda frame: np.arange(len(frame)))


def circle(users: int = 12, size: int = 10, steps: int = 6) -> pd.DataFrame:
    """Everybody walks round a circle of items: after item i comes item i + 1."""
    return log_of({user: [(3 * user + step) % size for step in range(steps)] for user in range(users)})


def random_histories(seed: int = 0) -> dict[int, list[int]]:
    rng = np.random.default_rng(seed)
    return {user: rng.integers(15, size=rng.integers(1, 25)).tolist() for user in range(12)}


def plain_scores(histories: dict[int, list[int]], model: Transition) -> np.ndarray:
    """float64 [12, 15] by loops over pairs of steps; 0 where nothing speaks."""
    popularity = np.zeros(15)
    links = np.zeros((15, 15))
    for items in histories.values():
        for place, item in enumerate(items):
            popularity[item] += 1
            for gap in range(1, model.window + 1):
                if place + gap < len(items) and items[place + gap] != item:
                    links[item, items[place + gap]] += model.gap_decay ** (gap - 1)
    links /= np.maximum(popularity, 1) ** model.popularity_power
    scores = np.zeros((12, 15))
    for user, items in histories.items():
        for back, item in enumerate(items[::-1][: model.last]):
            scores[user] += model.gap_decay**back * links[item]
    return scores


def test_the_next_step_round_a_circle_is_found() -> None:
    log = circle()
    found = Transition().fit(log).recommend(history=log, k=1)
    last = log.groupby("user_id")["item_id"].last()
    assert (found["item_id"] == (found["user_id"].map(last) + 1) % 10).all()
    assert (found["score"] > 0).all()


@pytest.mark.parametrize(
    "model",
    [Transition(), Transition(window=1, last=1), Transition(4, 0.8, 3, 1.0), Transition(3, 1.0, 5, 0.0)],
    ids=str,
)
def test_scores_equal_a_plain_loop_over_pairs_of_steps(model: Transition) -> None:
    histories = random_histories()
    log = log_of(histories)
    slate = pd.DataFrame([(u, i) for u in range(12) for i in range(15)], columns=["user_id", "item_id"])
    scores = model.fit(log).score(slate, history=log)["score"].to_numpy().reshape(12, 15)
    expected = plain_scores(histories, model)
    np.testing.assert_allclose(scores[expected > 0], expected[expected > 0], rtol=1e-5)
    assert (scores[expected == 0] < 0).all()


def test_direction_counts() -> None:
    log = log_of({user: [1, 2, 3] for user in range(5)})
    found = (
        Transition(window=1, last=1)
        .fit(log)
        .score(pd.DataFrame({"user_id": 0, "item_id": [1, 3]}), history=log_of({0: [2]}))
    )
    assert found["score"].iloc[1] > 0 > found["score"].iloc[0]


def test_a_step_ends_with_its_user() -> None:
    log = log_of({0: [1, 2], 1: [3, 4]})
    score = Transition(window=3).fit(log).score(pd.DataFrame({"user_id": [0], "item_id": [3]}), history=log)["score"]
    assert score.iloc[0] < 0


def test_only_the_strongest_transitions_are_kept() -> None:
    log = log_of({0: [1, 2], 1: [1, 2], 2: [1, 3]})
    slate = pd.DataFrame({"user_id": 9, "item_id": [2, 3]})
    scores = Transition(neighbors=1, popularity_power=0.0).fit(log).score(slate, history=log_of({9: [1]}))["score"]
    assert scores.iloc[0] == 2
    assert scores.iloc[1] < 0


def test_popularity_power_favours_the_rare_of_two_followers() -> None:
    log = log_of({0: [1, 2], 1: [1, 3], 2: [4, 2], 3: [5, 2]})
    slate = pd.DataFrame({"user_id": 9, "item_id": [2, 3]})
    ask = log_of({9: [1]})
    even = Transition(popularity_power=0.0).fit(log).score(slate, history=ask)["score"]
    rare = Transition(popularity_power=1.0).fit(log).score(slate, history=ask)["score"]
    assert even.iloc[0] == even.iloc[1]
    assert rare.tolist() == pytest.approx([1 / 3, 1.0])


def test_empty_history_gets_the_popular_items_below_zero() -> None:
    log = log_of({0: [7, 8, 9], 1: [7, 8], 2: [7]})
    found = Transition().fit(log).recommend([2], history=log, as_of=0, k=3)
    assert found["item_id"].tolist() == [7, 8, 9]
    assert found["score"].between(-1, 0, inclusive="left").all()


def test_nothing_at_or_after_the_moment_changes_a_score() -> None:
    log = circle()
    model = Transition().fit(log)
    asked = pd.DataFrame({"user_id": [3], "timestamp": [log.loc[log["user_id"] == 3, "timestamp"].iloc[4]]})
    later = log["timestamp"] >= asked["timestamp"].iloc[0]
    changed = log.assign(item_id=log["item_id"].where(~later, 0))
    first, second = (model.recommend(asked, history=history, k=5) for history in (log, changed))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_order_only_histories_of_one_interaction_are_enough() -> None:
    log = log_of({0: [1], 1: [2]}).drop(columns="timestamp")
    found = Transition().fit(log, time="order").recommend(history=log, k=2)
    assert found["item_id"].tolist() == [2, 1]
    assert (found["score"] < 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "Transition.window must be at least 1, got 0"),
        ({"last": 0}, "Transition.last must be at least 1, got 0"),
        ({"gap_decay": 1.5}, "Transition.gap_decay must lie between 0 and 1, got 1.5"),
        ({"popularity_power": -1}, "Transition.popularity_power must lie between 0 and 1, got -1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Transition(**settings).fit(circle())  # type: ignore[arg-type]
