"""What every recommender promises of moments: no leak, no item before its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError
from recattn.schema import DataWarning

HOUR = 3600
FUTURES: dict[str, Callable[[pd.DataFrame, np.ndarray], pd.DataFrame]] = {
    "gone": lambda log, later: log[~later],
    "other items": lambda log, later: log.assign(
        item_id=log["item_id"].where(~later, log["item_id"].iloc[::-1].values)
    ),
    "other kinds": lambda log, later: log.assign(event_type=log["event_type"].where(~later, "return"), weight=9.0),
    "twice": lambda log, later: pd.concat([log, log[later]], ignore_index=True),
    "later still": lambda log, later: log.assign(timestamp=log["timestamp"].where(~later, log["timestamp"] + 10**6)),
}


@pytest.mark.parametrize("future", FUTURES)
def test_nothing_at_or_after_the_moment_changes_an_answer(model: Any, world: Any, future: str) -> None:
    log = world.log
    moment = int(log["timestamp"].iloc[60])  # an interaction of u00 lies at the moment itself
    later = (log["timestamp"] >= moment).to_numpy()
    other = FUTURES[future](log, later)
    slate = pd.DataFrame({"user_id": [f"u{n:02}" for n in range(12)], "item_id": [f"i{n:02}" for n in range(12)]})
    for asked in ({"as_of": moment}, {}):
        frame = slate if asked else slate.assign(timestamp=moment)
        pd.testing.assert_frame_equal(
            model.score(frame, history=other, **asked), model.score(frame, history=log, **asked), check_exact=True
        )
        who = frame[["user_id", *([] if asked else ["timestamp"])]]
        pd.testing.assert_frame_equal(
            model.recommend(who, history=other, k=4, **asked),
            model.recommend(who, history=log, k=4, **asked),
            check_exact=True,
        )


def test_by_default_all_of_the_history_is_seen(model: Any, world: Any) -> None:
    expected = model.recommend(["u00"], history=world.log, k=3, as_of=int(world.log["timestamp"].max()) + 1)
    pd.testing.assert_frame_equal(model.recommend(["u00"], history=world.log, k=3), expected)


def test_a_moment_may_be_written_in_many_ways(model: Any, world: Any) -> None:
    seconds = int(world.log["timestamp"].iloc[60])
    expected = model.recommend(["u00", "u03"], history=world.log, k=3, as_of=seconds)
    at = pd.Timestamp(seconds, unit="s")
    for written in (at, at.tz_localize("UTC").tz_convert("Asia/Tokyo"), at.isoformat(), at.to_pydatetime()):
        pd.testing.assert_frame_equal(model.recommend(["u00", "u03"], history=world.log, k=3, as_of=written), expected)


@pytest.mark.parametrize("kind", ["Recommender", "Popularity", "ItemKNN", "Recency"])
def test_an_item_is_recommended_from_the_moment_it_is_available(fit: Any, world: Any, kind: str) -> None:
    moment = int(world.train["timestamp"].max()) + HOUR
    since = np.where(world.items["item_id"] == "i13", moment, 0)
    model = fit(kind, world.train, items=world.items.assign(available_from=since))
    before = model.recommend(["u00"], history=world.train, k=13, exclude_seen=False, as_of=moment - 1)
    assert "i13" not in before["item_id"].tolist()
    assert len(before) == 13
    after = model.recommend(["u00"], history=world.train, k=14, exclude_seen=False, as_of=moment)
    assert "i13" in after["item_id"].tolist()
    with pytest.warns(
        DataWarning, match="1 of 1 requests have no recommendation: all their candidates are seen or not"
    ):
        model.recommend(["u00"], history=world.train, k=1, candidates=["i13"], as_of=moment - 1)


@pytest.mark.parametrize("kind", ["Recommender", "Popularity", "ItemKNN"])
def test_an_order_without_times_will_do(fit: Any, world: Any, kind: str) -> None:
    model = fit(kind, world.train.drop(columns="timestamp"), items=world.items, time="order")
    history = world.log.drop(columns="timestamp")
    found = model.recommend(["u00", "u01"], history=history, k=3)
    assert found["rank"].tolist() == [1, 2, 3, 1, 2, 3]
    renumbered = world.log.assign(timestamp=world.log["timestamp"] * 17 + 5)
    pd.testing.assert_frame_equal(model.recommend(["u00", "u01"], history=renumbered, k=3), found)
    slate = pd.DataFrame({"user_id": ["u00"], "item_id": ["i04"], "timestamp": [3]})
    scored = model.score(slate, history=history)
    pd.testing.assert_frame_equal(scored[slate.columns], slate)
    with pytest.raises(ConfigError, match=r"as_of=5 needs times, but the model was fitted with time='order'"):
        model.recommend(["u00"], history=history, as_of=5)


@pytest.mark.parametrize("kind", ["Recommender", "Popularity", "ItemKNN"])
def test_in_an_order_a_position_cuts_the_history(fit: Any, world: Any, kind: str) -> None:
    model = fit(kind, world.train.drop(columns="timestamp"), items=world.items, time="order")
    requests = pd.DataFrame({"user_id": ["u00", "u03"], "position": [4, 2]})
    cut = world.log.groupby("user_id").cumcount() < world.log["user_id"].map({"u00": 4, "u03": 2}).fillna(9)
    expected = model.recommend(["u00", "u03"], history=world.log[cut], k=5)
    found = model.recommend(requests, history=world.log, k=5)
    pd.testing.assert_frame_equal(found, expected)
