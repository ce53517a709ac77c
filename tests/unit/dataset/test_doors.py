"""The doors that baselines and the Recommender share."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from recattn.dataset import HistoryStore, Vocabulary
from recattn.dataset.doors import history_store, ids_given, moment_asked, open_log, training_data
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


def test_the_folder_of_a_store_is_opened_like_the_store(tmp_path: Path) -> None:
    store = HistoryStore.from_frame(LOG, ITEMS).save(tmp_path / "store")
    for folder in (tmp_path / "store", str(tmp_path / "store")):
        found = open_log(folder, "timestamp")
        assert isinstance(found, HistoryStore)
        assert found.digest == store.digest
        assert len(history_store(folder, ITEMS, "timestamp")) == 2
        assert training_data(folder, None, "timestamp")[0].digest == store.digest
    with pytest.raises(DataError, match=r"history is a store with time='timestamp', but time='order' is asked for"):
        history_store(tmp_path / "store", ITEMS, "order")


@pytest.mark.parametrize("one", ["i1", b"i1", 7, None])
def test_one_id_is_no_list_of_ids(one: object) -> None:
    with pytest.raises(DataError, match=rf"users must be a list of ids, got {one!r}\. Pass \[{one!r}\]\."):
        ids_given(one, "users")
    assert ids_given({"i1": 0}, "users") == ["i1"]
