"""The doors that baselines and the Recommender share."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from recattn.dataset import HistoryStore, Vocabulary
from recattn.dataset.doors import history_store, moment_asked
from recattn.errors import ConfigError, DataError

ITEMS = Vocabulary("item_id", ["i1", "i2"])
LOG = pd.DataFrame({"user_id": ["a", "a"], "item_id": ["i1", "i2"], "timestamp": [1_700_000_000, 1_700_000_100]})


def test_a_history_whose_item_ids_are_of_another_kind_than_the_models_is_refused() -> None:
    numbers = LOG.assign(item_id=[1, 2])
    with pytest.raises(DataError, match=r"item_id is int in history .*but str in the model"):
        history_store(numbers, ITEMS, "timestamp")
    store = HistoryStore.from_frame(numbers, Vocabulary("item_id", [1, 2]))
    with pytest.raises(DataError, match=r"item_id is int in history .*but str in the model"):
        history_store(store, ITEMS, "timestamp")


def test_a_history_of_unknown_items_of_the_same_kind_is_empty() -> None:
    store = history_store(LOG.assign(item_id=["x", "y"]), ITEMS, "timestamp")
    assert (len(store), store.dropped) == (0, 2)


def test_the_default_moment_is_logged_unless_the_requests_name_their_own(caplog: pytest.LogCaptureFixture) -> None:
    store = history_store(LOG, ITEMS, "timestamp")
    with caplog.at_level(logging.INFO, logger="recattn"):
        assert moment_asked(None, store, LOG) == 1_700_000_101
        assert not caplog.records
        assert moment_asked(None, store, ["a"]) == 1_700_000_101
    assert "as_of is 2023-11-14 22:15:01, just after the end of the history" in caplog.text


def test_an_as_of_needs_times() -> None:
    ordered = history_store(LOG, ITEMS, "order")
    with pytest.raises(ConfigError, match=r"as_of='2024-01-01' needs times"):
        moment_asked("2024-01-01", ordered)
    assert moment_asked(None, ordered) is None
