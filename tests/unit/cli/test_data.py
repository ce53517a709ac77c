from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recattn.cli.data import as_ids, read_log, read_log_frame, read_table, read_who
from recattn.cli.settings import Columns
from recattn.dataset import HistoryStore, Vocabulary
from recattn.errors import DataError

LOG = pd.DataFrame({"user_id": [2, 1, 1], "item_id": ["a", "b", "c"], "timestamp": [10, 30, 20]})
SAME = Columns()


@pytest.fixture
def store(tmp_path: Path) -> str:
    HistoryStore.from_frame(LOG, Vocabulary.from_values("item_id", LOG["item_id"])).save(tmp_path / "store")
    return str(tmp_path / "store")


def test_a_store_is_opened_and_a_file_is_read(store: str, tmp_path: Path) -> None:
    LOG.rename(columns={"timestamp": "ts"}).to_csv(tmp_path / "log.csv", index=False)
    assert isinstance(read_log(store, SAME), HistoryStore)
    frame = read_log(str(tmp_path / "log.csv"), Columns(timestamp="ts"))
    pd.testing.assert_frame_equal(frame, LOG)


def test_a_store_can_be_cut_like_a_file(store: str) -> None:
    frame = read_log_frame(store, SAME)
    assert frame["item_id"].tolist() == ["a", "c", "b"]  # by user, then time


def test_a_store_of_another_time_is_refused(store: str) -> None:
    with pytest.raises(DataError, match=r"time='timestamp', but model\.time is 'order'"):
        read_log_frame(store, SAME, time="order")


def test_other_tables_take_the_names_they_have(tmp_path: Path) -> None:
    pd.DataFrame({"movie": [1], "year": [2], "ts": [3]}).to_csv(tmp_path / "x.csv", index=False)
    frame = read_table(str(tmp_path / "x.csv"), "slate", Columns(user_id="who", item_id="movie", timestamp="ts"))
    assert list(frame) == ["item_id", "year", "timestamp"]


def test_two_columns_for_one_name_are_told_in_other_tables_too(tmp_path: Path) -> None:
    pd.DataFrame({"movie": [1], "item_id": [2]}).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"slate has a column 'item_id' already, and columns= asks to take 'movie'"):
        read_table(str(tmp_path / "x.csv"), "slate", Columns(item_id="movie"))


def test_users_are_everybody_ids_or_a_file(tmp_path: Path) -> None:
    def who(users: object) -> object:
        return read_who(users, LOG, SAME, unit="s", time="timestamp")  # type: ignore[arg-type]

    assert who(None) is None
    assert who("1, 2") == [1, 2]
    assert who([1, "2"]) == [1, 2]
    requests = pd.DataFrame({"user_id": [1], "timestamp": ["2024-05-01"]})
    requests.to_csv(tmp_path / "r.csv", index=False)
    found = who(str(tmp_path / "r.csv"))
    assert isinstance(found, pd.DataFrame)
    assert found.to_dict("list") == {"user_id": [1], "timestamp": [1_714_521_600]}


def test_a_file_of_users_that_is_not_there_is_told() -> None:
    with pytest.raises(DataError, match=r"users: no file or folder 'nobody\.csv'"):
        read_who("nobody.csv", LOG, SAME, unit="s", time="timestamp")


def test_typed_ids_take_the_type_of_the_known_ones() -> None:
    assert as_ids("7,8", pd.Series(["a"]), "users") == ["7", "8"]
    assert as_ids("1.5", pd.Series([0.5]), "users") == [1.5]
    with pytest.raises(DataError, match="users: the ids there are numbers, such as 3, got 'x'"):
        as_ids("x", pd.Series([3]), "users")
