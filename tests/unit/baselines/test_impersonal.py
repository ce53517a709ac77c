"""Popularity with windows, recency with half-lives."""

from __future__ import annotations

import pandas as pd
import pytest

from recattn.baselines import Popularity, Recency
from recattn.baselines.impersonal import Impersonal
from recattn.errors import ConfigError

DAY = 86_400


def log_of(**touches: list[int]) -> pd.DataFrame:
    """`log_of(a=[0, 5])`: item a was touched on the days 0 and 5, each time by a new user."""
    rows = [(item, day * DAY) for item, days in touches.items() for day in days]
    frame = pd.DataFrame(rows, columns=["item_id", "timestamp"])
    return frame.assign(user_id=[f"u{row}" for row in range(len(frame))])


LOG = log_of(old=[0, 1, 2, 3], new=[9, 10], mixed=[1, 8, 10])
NOBODY = pd.DataFrame({"user_id": ["x"], "item_id": ["old"], "timestamp": [20 * DAY]})


def scores_of(model: Impersonal) -> dict[str, float]:
    found = model.fit(LOG).recommend(history=NOBODY, k=3, exclude_seen=False)
    return dict(zip(found["item_id"], found["score"].astype(float), strict=True))


def test_popularity_counts_interactions() -> None:
    assert scores_of(Popularity()) == {"old": 4, "mixed": 3, "new": 2}


def test_popularity_window_ends_with_train() -> None:
    assert scores_of(Popularity(window="2D")) == {"new": 2, "mixed": 1, "old": 0}
    assert scores_of(Popularity(window="3D")) == {"new": 2, "mixed": 2, "old": 0}


def test_popularity_window_holds_its_first_second() -> None:
    model = Popularity(window="1s").fit(LOG)
    found = model.recommend(history=NOBODY, k=3, exclude_seen=False)
    assert found["score"].tolist() == [1, 1, 0]


def test_recency_halves_an_interaction_each_half_life() -> None:
    expected = {
        "new": 2 ** (-1 / 2) + 1,
        "mixed": 2 ** (-9 / 2) + 2 ** (-2 / 2) + 1,
        "old": sum(2 ** (-age / 2) for age in (7, 8, 9, 10)),
    }
    scores = scores_of(Recency(half_life="2D"))
    assert scores == pytest.approx(expected, rel=1e-6)
    assert list(scores) == ["new", "mixed", "old"]


def test_long_half_life_is_popularity_and_a_short_one_the_latest() -> None:
    assert list(scores_of(Recency(half_life="10000D"))) == ["old", "mixed", "new"]
    assert scores_of(Recency(half_life="1s"))["old"] == 0


def test_nothing_in_the_history_asked_from_changes_the_scores() -> None:
    model = Popularity().fit(LOG)
    busy = pd.concat([NOBODY] * 9, ignore_index=True)
    pd.testing.assert_frame_equal(
        model.recommend(history=busy, k=3, exclude_seen=False),
        model.recommend(history=NOBODY, k=3, exclude_seen=False),
    )


def test_order_only_data_has_popularity_but_no_recency() -> None:
    found = Popularity().fit(LOG, time="order").recommend(history=LOG, k=1, exclude_seen=False)
    assert set(found["item_id"]) == {"old"}
    with pytest.raises(ConfigError, match=r"Popularity\(window='7D'\) needs times, but time='order' has none"):
        Popularity(window="7D").fit(LOG, time="order")
    with pytest.raises(ConfigError, match="Recency needs times: with time='order' interactions have no age"):
        Recency().fit(LOG, time="order")


@pytest.mark.parametrize("model", [Popularity(window="7"), Recency(half_life="soon")])
def test_spans_without_a_unit_are_refused(model: Impersonal) -> None:
    with pytest.raises(ConfigError, match=r"(window|half_life) must be a span of time with its unit"):
        model.fit(LOG)


def test_baselines_show_their_settings() -> None:
    assert repr(Popularity(window="7D")) == "Popularity(window='7D')"
    assert repr(Recency()) == "Recency(half_life='7D')"
