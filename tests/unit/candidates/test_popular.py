"""Tests of popularity before each request."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.candidates import Popular
from recattn.candidates import popular as room
from recattn.dataset import HistoryStore, Vocabulary
from recattn.errors import ConfigError, DataError

DAY = 86_400
START = 1_700_000_000


def lists(frame: pd.DataFrame, key: str = "user_id") -> dict[object, list[object]]:
    return {name: group["item_id"].tolist() for name, group in frame.groupby(key, sort=False)}


def plain(log: pd.DataFrame, requests: pd.DataFrame, window: float | None, k: int) -> dict[object, list[object]]:
    """The same in a loop."""
    catalog = list(dict.fromkeys(log["item_id"]))
    found = {}
    for request in requests.itertuples():
        before = log[log["timestamp"] < request.timestamp]
        lately = before if window is None else before[before["timestamp"] >= request.timestamp - window]
        counts = lately["item_id"].value_counts()
        seen = set(before.loc[before["user_id"] == request.user_id, "item_id"])
        ranked = sorted(counts.index, key=lambda item: (-counts[item], catalog.index(item)))
        found[request.request_id] = [item for item in ranked if item not in seen][:k]
    return {name: items for name, items in found.items() if items}


def test_the_most_touched_come_first_without_what_was_seen(diary: pd.DataFrame) -> None:
    found = Popular().candidates(pd.DataFrame({"user_id": ["u3", "new"]}), history=diary, k=3)
    assert lists(found) == {"u3": ["b", "d"], "new": ["a", "b", "c"]}
    assert found.columns.tolist() == ["user_id", "item_id", "source", "source_rank"]
    assert found["source_rank"].tolist() == [1, 2, 1, 2, 3]
    assert set(found["source"]) == {"popular"}


def test_only_the_window_before_the_request_counts(diary: pd.DataFrame) -> None:
    asked = pd.DataFrame({"user_id": ["new"]})
    popular = Popular(window="2D")
    assert lists(popular.candidates(asked, history=diary, k=9)) == {"new": ["c", "d"]}
    assert lists(popular.candidates(asked, history=diary, k=9, as_of=START + 3 * DAY)) == {"new": ["b", "a"]}
    assert popular.candidates(asked, history=diary, k=9, as_of=START + 5 * DAY).empty


def test_seen_items_may_be_kept(diary: pd.DataFrame) -> None:
    found = Popular(exclude_seen=False).candidates(pd.DataFrame({"user_id": ["u3"]}), history=diary, k=2)
    assert lists(found) == {"u3": ["a", "b"]}


@pytest.mark.parametrize("cells", [1 << 22, 60])
@pytest.mark.parametrize("window", [None, "3h"])
def test_every_request_has_what_a_loop_counts(window: str | None, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_CELLS", cells)
    rng = np.random.default_rng(3)
    log = pd.DataFrame(
        {
            "user_id": rng.integers(0, 9, 200),
            "item_id": rng.zipf(1.5, 200) % 12,
            "timestamp": START + rng.integers(0, 40_000, 200),
        }
    )
    requests = pd.DataFrame(
        {
            "request_id": np.arange(50),
            "user_id": rng.integers(0, 11, 50),
            "timestamp": START + rng.integers(-1000, 45_000, 50) // 500 * 500,
        }
    )
    found = Popular(window=window).candidates(requests, history=log, k=4)
    seconds = None if window is None else 3 * 3600
    assert lists(found, "request_id") == plain(log, requests, seconds, 4)


def test_nothing_after_the_moment_changes_the_list(diary: pd.DataFrame) -> None:
    asked = pd.DataFrame({"user_id": ["u1"], "timestamp": [START + 8 * DAY]})
    later = diary["timestamp"] >= START + 8 * DAY
    changed = diary.assign(item_id=diary["item_id"].where(~later, "z"))
    before = Popular().candidates(asked, history=diary, k=9)
    pd.testing.assert_frame_equal(before, Popular().candidates(asked, history=changed, k=9))


def test_counts_may_be_brought_up_to_date_less_often(diary: pd.DataFrame) -> None:
    asked = pd.DataFrame({"user_id": ["new"], "timestamp": [START + int(2.7 * DAY)]})
    day = Popular(every="1D").candidates(asked, history=diary, k=9)
    moment = asked["timestamp"] // DAY * DAY
    pd.testing.assert_frame_equal(day, Popular().candidates(asked.assign(timestamp=moment), history=diary, k=9))


def test_an_order_only_history_counts_whole(diary: pd.DataFrame) -> None:
    log = diary.assign(timestamp=diary.groupby("user_id").cumcount())
    store = HistoryStore.from_frame(log, Vocabulary("item_id", list("abcd")), time="order")
    asked = pd.DataFrame({"user_id": ["new"]})
    assert lists(Popular().candidates(asked, history=store, k=2)) == {"new": ["a", "b"]}
    with pytest.raises(ConfigError, match=r"needs times.*Pass window=None"):
        Popular(window="1D").candidates(asked, history=store, k=2)


def test_settings_that_are_no_spans_or_counts_are_refused(diary: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"Popular.window must be a span of time .* got 7"):
        Popular(window=7)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="k must be a whole number of at least 1, got 0"):
        Popular().candidates(pd.DataFrame({"user_id": ["u1"]}), history=diary, k=0)


def test_a_user_twice_needs_request_ids(diary: pd.DataFrame) -> None:
    twice = pd.DataFrame({"user_id": ["u1", "u2", "u1"]})
    with pytest.raises(DataError, match=r"1 rows with a user_id of an earlier row \(row 2: 'u1'\).*Add request_id"):
        Popular().candidates(twice, history=diary, k=2)
    named = Popular(exclude_seen=False).candidates(twice.assign(request_id=[7, 8, 9]), history=diary, k=1)
    assert named[["request_id", "item_id"]].to_numpy().tolist() == [[7, "a"], [8, "a"], [9, "a"]]


def test_no_request_gives_an_empty_frame(diary: pd.DataFrame) -> None:
    found = Popular().candidates(diary.head(0)[["user_id"]], history=diary, k=2)
    assert found.empty
    assert found.columns.tolist() == ["user_id", "item_id", "source", "source_rank"]
