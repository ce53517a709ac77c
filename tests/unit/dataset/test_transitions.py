"""Tests of the counting of what followed what."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset import transitions as room
from recattn.dataset.history import HistoryStore
from recattn.dataset.transitions import Transitions, count_transitions, recency_weights
from recattn.dataset.vocabulary import Vocabulary

ITEMS = [f"i{number}" for number in range(9)]  # codes 1..9; the last is in no log
DAY = 86_400


def store_of(histories: dict[str, str], *, time: Any = "timestamp", gap: int = DAY) -> HistoryStore:
    """`{"u1": "0 2 2"}`: a user's items by number, a day apart."""
    rows = [
        (user, f"i{item}", gap * place if time == "timestamp" else place)
        for user, items in histories.items()
        for place, item in enumerate(items.split())
    ]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    if not rows:
        log = log.astype({"user_id": "str", "item_id": "str", "timestamp": "int64"})
    return HistoryStore.from_frame(log, Vocabulary("item_id", ITEMS), time=time)


@pytest.fixture(scope="module")
def store() -> HistoryStore:
    """Seven users with 1 to 30 interactions among eight items, so that much repeats."""
    rng = np.random.default_rng(4)
    lengths = (30, 1, 2, 17, 25, 3, 12)
    return store_of({f"u{n}": " ".join(map(str, rng.integers(0, 8, length))) for n, length in enumerate(lengths)})


def by_loops(store: HistoryStore, steps: int, decay: float, shrinkage: float, half_life: float | None) -> dict:
    """share(c | i) of all pairs that occurred, in float64."""
    counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    end = int(store.times.max())
    for user in range(len(store.users)):
        rows = range(store.offsets[user], store.offsets[user + 1])
        for later in rows:
            for earlier in rows:
                apart = later - earlier
                if 1 <= apart <= steps and store.items[earlier] != store.items[later]:
                    age = (end - int(store.times[later])) / DAY
                    weight = 1.0 if half_life is None else 0.5 ** (age / half_life)
                    counts[int(store.items[earlier])][int(store.items[later])] += weight * decay ** (apart - 1)
    return {
        (item, other): count / (sum(row.values()) + shrinkage)
        for item, row in counts.items()
        for other, count in row.items()
    }


def as_dict(found: Transitions) -> dict:
    return {
        (item, int(found.items[cell])): float(found.shares[cell])
        for item in range(len(found.offsets) - 1)
        for cell in range(found.offsets[item], found.offsets[item + 1])
    }


@pytest.mark.parametrize(
    ("steps", "decay", "shrinkage", "half_life"),
    [(1, 1.0, 5.0, None), (10, 0.8, 20.0, None), (3, 0.5, 0.0, None), (4, 0.9, 2.0, 6.0), (99, 0.7, 1.0, 0.5)],
)
def test_shares_are_those_of_a_double_loop(
    store: HistoryStore, steps: int, decay: float, shrinkage: float, half_life: float | None
) -> None:
    found = as_dict(count_transitions(store, steps=steps, decay=decay, shrinkage=shrinkage, half_life=half_life))
    expected = by_loops(store, steps, decay, shrinkage, half_life)
    assert found.keys() == expected.keys()
    assert len(found) > 30
    for pair, share in expected.items():
        assert found[pair] == pytest.approx(share, rel=1e-5), pair


def test_a_small_world_is_counted_by_hand() -> None:
    store = store_of({"a": "0 1 2", "b": "0 1"})
    found = as_dict(count_transitions(store, steps=2, decay=0.5, shrinkage=1.0))
    assert found == pytest.approx({(1, 2): 2 / 3.5, (1, 3): 0.5 / 3.5, (2, 3): 1 / 2})


@pytest.mark.parametrize(("steps", "decay", "shrinkage", "half_life"), [(10, 0.8, 10.0, None), (3, 0.5, 1.0, 6.0)])
def test_mutual_shares_are_cosines_of_a_double_loop(
    store: HistoryStore, steps: int, decay: float, shrinkage: float, half_life: float | None
) -> None:
    ages = (store.times.max() - store.times) / DAY
    weights = np.ones(len(store)) if half_life is None else 0.5 ** (ages / half_life)
    touched = np.bincount(store.items, weights)
    counts: dict[tuple[int, int], float] = defaultdict(float)
    for user in range(len(store.users)):
        rows = range(store.offsets[user], store.offsets[user + 1])
        for later in rows:
            for earlier in rows:
                pair = (int(store.items[earlier]), int(store.items[later]))
                if 1 <= later - earlier <= steps and pair[0] != pair[1]:
                    for way in (pair, pair[::-1]):
                        counts[way] += weights[later] * decay ** (later - earlier - 1)
    found = as_dict(
        count_transitions(store, steps=steps, decay=decay, shrinkage=shrinkage, half_life=half_life, mutual=True)
    )
    assert found.keys() == counts.keys()
    for (item, other), count in counts.items():
        expected = count / np.sqrt((touched[item] + shrinkage) * (touched[other] + shrinkage))
        assert found[item, other] == pytest.approx(expected, rel=1e-5)
        assert found[item, other] == pytest.approx(found[other, item], rel=1e-6)


def test_counting_in_parts_changes_nothing(store: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = count_transitions(store)
    monkeypatch.setattr(room, "_ROWS_AT_ONCE", 7)
    parts = count_transitions(store)
    np.testing.assert_array_equal(parts.offsets, whole.offsets)
    np.testing.assert_array_equal(parts.items, whole.items)
    np.testing.assert_allclose(parts.shares, whole.shares, rtol=1e-6)


def test_users_are_never_mixed() -> None:
    found = as_dict(count_transitions(store_of({"a": "0 1", "b": "2 3", "c": "4"})))
    assert set(found) == {(1, 2), (3, 4)}


def test_an_item_does_not_follow_itself_but_is_a_step_between_others() -> None:
    found = as_dict(count_transitions(store_of({"a": "0 0 1"}), steps=2, decay=0.5, shrinkage=1.0))
    assert found == pytest.approx({(1, 2): 1.5 / 2.5})
    assert as_dict(count_transitions(store_of({"a": "3 3 3"}))) == {}


def test_a_row_sums_to_at_most_one_and_to_half_where_counts_equal_the_shrinkage(store: HistoryStore) -> None:
    for shrinkage in (0.0, 5.0):
        found = count_transitions(store, shrinkage=shrinkage)
        sums = np.add.reduceat(np.r_[found.shares, 0], found.offsets[:-1])[np.diff(found.offsets) > 0]
        assert (sums <= 1 + 1e-6).all()
        assert (np.abs(sums - 1) < 1e-6).all() == (shrinkage == 0)
    half = count_transitions(store_of({"a": "0 1", "b": "0 2", "c": "0 1"}), steps=1, shrinkage=3.0)
    assert half.shares.sum() == pytest.approx(0.5)


def test_the_highest_counts_are_kept_with_their_shares_and_equal_ones_by_code() -> None:
    store = store_of({"a": "0 5", "b": "0 5", "c": "0 4", "d": "0 3", "e": "0 2", "f": "0 2", "g": "7 1"})
    whole = as_dict(count_transitions(store, shrinkage=1.0))
    assert whole == pytest.approx({(1, 3): 2 / 7, (1, 4): 1 / 7, (1, 5): 1 / 7, (1, 6): 2 / 7, (8, 2): 1 / 2})
    assert as_dict(count_transitions(store, shrinkage=1.0, most=3)) == pytest.approx(
        {pair: share for pair, share in whole.items() if pair != (1, 5)}
    )
    assert set(as_dict(count_transitions(store, shrinkage=1.0, most=1))) == {(1, 3), (8, 2)}


def test_rows_go_by_code_and_items_ascend_in_a_row(store: HistoryStore) -> None:
    found = count_transitions(store, most=3)
    assert len(found.offsets) == len(ITEMS) + 2
    assert (found.offsets[0], found.offsets[1], found.offsets[-1]) == (0, 0, len(found.items))
    assert found.offsets[-1] == found.offsets[-2]  # the item without interactions
    assert np.diff(found.offsets).max() == 3
    for start, stop in zip(found.offsets[:-1], found.offsets[1:], strict=True):
        assert (np.diff(found.items[start:stop]) > 0).all()
    assert (found.offsets.dtype, found.items.dtype, found.shares.dtype) == (np.int64, np.int32, np.float32)


@pytest.mark.parametrize("histories", [{}, {"a": "3"}, {"a": "3", "b": "3"}])
def test_nothing_follows_where_nobody_did_two_things(histories: dict[str, str]) -> None:
    for half_life in (None, 2.0):
        found = count_transitions(store_of(histories), half_life=half_life)
        assert found.offsets.tolist() == [0] * (len(ITEMS) + 2)
        assert len(found.items) == len(found.shares) == 0


def test_an_occurrence_a_half_life_before_the_end_counts_half() -> None:
    store = store_of({"a": "0 1 4 4 4", "b": "0 2 4 4 5"})  # 0 -> 1 and 0 -> 2 both three days before the end
    old = as_dict(count_transitions(store, steps=1, shrinkage=1.0, half_life=3.0))
    assert old[1, 2] == pytest.approx(0.5 / 2)
    assert old[5, 6] == pytest.approx(1 / 2)
    assert recency_weights(np.array([0, 3 * DAY, 6 * DAY]), 3.0).tolist() == [0.25, 0.5, 1.0]
    assert recency_weights(np.zeros(0, np.int64), 3.0).tolist() == []


def test_an_order_without_times_has_no_half_life() -> None:
    store = store_of({"a": "0 1 2", "b": "2 1"}, time="order")
    assert as_dict(count_transitions(store, half_life=1.0)) == as_dict(count_transitions(store))


def test_the_store_is_not_changed(store: HistoryStore) -> None:
    before = store.digest
    count_transitions(store, half_life=1.0)
    assert store.digest == before
