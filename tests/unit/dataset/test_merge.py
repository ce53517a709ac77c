"""Tests of making one store from several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.history import HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError

ITEMS = Vocabulary("item_id", ["a", "b", "c"])


def log(items: str, users: str = "yxyxxy") -> pd.DataFrame:
    """Two rows of x share a moment."""
    times = np.array([50, 20, 30, 10, 20, 60])
    return pd.DataFrame({"user_id": list(users), "item_id": list(items), "timestamp": times})


def ordered(users: str, items: str) -> HistoryStore:
    frame = pd.DataFrame({"user_id": list(users), "item_id": list(items)})
    frame["timestamp"] = frame.groupby("user_id").cumcount()
    return HistoryStore.from_frame(frame, ITEMS, time="order")


def timed(items: str, users: str = "yxyxxy") -> HistoryStore:
    return HistoryStore.from_frame(log(items, users), ITEMS)


def rows(store: HistoryStore) -> dict[str, str]:
    items = store.item_vocabulary.decode(store.items)
    return {
        user: "".join(items[start:stop])
        for user, start, stop in zip(store.users, store.offsets[:-1], store.offsets[1:], strict=True)
    }


def places(store: HistoryStore) -> dict[str, list[int]]:
    return {
        user: store.places[start:stop].tolist()
        for user, start, stop in zip(store.users, store.offsets[:-1], store.offsets[1:], strict=True)
    }


def test_simultaneous_rows_keep_the_order_of_the_list() -> None:
    merged = HistoryStore.merge([timed("aaaaaa"), timed("bbbbbb", "yxyxxn")])
    assert rows(merged) == {"y": "ababa", "x": "abaabb", "n": "b"}
    assert merged.positions is None


def test_a_store_alone_is_itself() -> None:
    only = timed("aaaaaa")
    assert HistoryStore.merge([only]) is only


def test_order_only_stores_come_one_after_another() -> None:
    merged = HistoryStore.merge([ordered("xxy", "abc"), ordered("yzx", "aab"), ordered("x", "c")])
    assert rows(merged) == {"x": "abbc", "y": "ca", "z": "a"}
    assert places(merged) == {"x": [0, 1, 2, 3], "y": [0, 1], "z": [0]}


def test_the_codes_are_those_of_the_first() -> None:
    second = HistoryStore.from_frame(log("abc?ab"), Vocabulary("item_id", ["b", "?", "a"]))
    merged = HistoryStore.merge([timed("abcbca"), second])
    assert merged.item_vocabulary is ITEMS
    assert rows(merged) == {"y": "caaab", "x": "bbcba"}
    assert merged.dropped == 2


def test_what_was_dropped_is_still_counted_and_keeps_its_place() -> None:
    first, second = timed("abzacz"), timed("zbbbbb", "nnmmmm")
    merged = HistoryStore.merge([first, second])
    assert merged.dropped == 3
    assert (
        places(merged) == {**places(first), **places(second)} == {"y": [1], "x": [0, 1, 2], "n": [0], "m": [0, 1, 2, 3]}
    )


def test_places_count_what_either_store_had_dropped_before_a_row() -> None:
    merged = HistoryStore.merge([ordered("xxx", "zab"), ordered("xxx", "azb")])
    assert rows(merged) == {"x": "abab"}
    assert places(merged) == {"x": [1, 2, 3, 5]}
    simultaneous = HistoryStore.merge([timed("aazaaa"), timed("aazaaa")])
    assert places(simultaneous)["y"] == [1, 3, 4, 5]


def test_extras_that_all_have_stay() -> None:
    def store(**extra: Any) -> HistoryStore:
        return HistoryStore.from_frame(log("aaaaaa").assign(**extra), ITEMS, extras=list(extra))

    merged = HistoryStore.merge([store(hour=1, device="p"), store(hour=2)])
    assert list(merged.extras) == ["hour"]
    assert merged.extras["hour"].tolist() == [1, 2, 1, 2, 1, 2, 1, 2, 1, 1, 2, 2]


def test_events_and_weights_that_one_lacks_are_unknown() -> None:
    full = HistoryStore.from_frame(log("aaaaaa").assign(event_type="buy", weight=np.float32(2)), ITEMS)
    merged = HistoryStore.merge([full, timed("bbbbbb", "nnnnnn")])
    assert merged.behaviours is not None
    assert merged.behaviours.tolist() == [1] * 6 + [0] * 6
    np.testing.assert_array_equal(merged.weights, np.float32([2.0] * 6 + [np.nan] * 6))


def test_stores_with_times_and_with_an_order_are_refused() -> None:
    with pytest.raises(DataError, match="with timestamps and histories with an order only cannot be merged"):
        HistoryStore.merge([timed("aaaaaa"), ordered("x", "a")])
