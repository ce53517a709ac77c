"""Tests of stores built from logs that need not fit into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recattn.dataset import build
from recattn.dataset.history import HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError, ConfigError, DataError
from recattn.schema import DataWarning, read_interactions

START = 1_700_000_000


@pytest.fixture
def log(build_log: Any) -> pd.DataFrame:
    return build_log(3, (7, 1, 3, 12, 2, 9, 30, 5))


def in_memory(data: Any, time: Any = "timestamp", extras: tuple[str, ...] = (), **how: Any) -> HistoryStore:
    frame = read_interactions(data, time=time, **how)
    items = Vocabulary.from_values("item_id", frame["item_id"])
    return HistoryStore.from_frame(frame, items, time=time, extras=extras)


def by_user(store: HistoryStore, order: np.ndarray) -> pd.DataFrame:
    """The store's frame with the users in another order."""
    frame = store.to_frame()
    frame["user_id"] = pd.Categorical(frame["user_id"], order)
    return frame.sort_values("user_id", kind="stable").astype({"user_id": str}).reset_index(drop=True)


def in_parts(log: pd.DataFrame, folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(log)), count)):
        log.iloc[rows].to_parquet(folder / f"part-{number}.parquet", index=False, row_group_size=5)
    return folder


@pytest.mark.parametrize("form", ["frame", "csv", "file", "folder"])
def test_one_partition_gives_what_a_frame_in_memory_gives(form: str, log: pd.DataFrame, tmp_path: Path) -> None:
    data: Any = {"frame": log, "csv": tmp_path / "log.csv", "file": tmp_path / "log.parquet"}.get(form)
    if form == "csv":
        log.to_csv(data, index=False)
    if form == "file":
        log.to_parquet(data)
    if form == "folder":
        data = in_parts(log, tmp_path / "log")
    made = HistoryStore.build(data, tmp_path / "store", extras=["device", "hour"])
    store, wanted = HistoryStore.open(tmp_path / "store"), in_memory(data, extras=("device", "hour"))
    assert store.digest == wanted.digest
    for name in ("device", "hour"):
        assert store.extras[name].tolist() == wanted.extras[name].tolist()
    assert made.high_water == int(log["timestamp"].max())
    assert [len(step["sources"]) for step in made.generations] == [3 if form == "folder" else 1]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("time", ["timestamp", "order"])
@pytest.mark.parametrize("partitions", [2, 5, 40])
def test_partitions_keep_every_history(
    partitions: int, time: Any, log: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SMALLEST_PIECE", 4)
    monkeypatch.setattr(build, "LARGEST_PIECE", 4)
    data = in_parts(log, tmp_path / "log")
    HistoryStore.build(data, tmp_path / "store", time=time, extras=["device", "hour"], partitions=partitions)
    store, wanted = HistoryStore.open(tmp_path / "store"), in_memory(data, time, ("device", "hour"))
    assert store.item_vocabulary == wanted.item_vocabulary
    assert store.behaviour_vocabulary == wanted.behaviour_vocabulary
    assert store.users.tolist() != wanted.users.tolist()
    pd.testing.assert_frame_equal(by_user(store, wanted.users), by_user(wanted, wanted.users))


def test_a_partition_that_is_too_large_is_cut_again_but_not_within_a_user(
    log: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROW_BYTES", 10**8)
    log.to_parquet(tmp_path / "log.parquet")
    HistoryStore.build(tmp_path / "log.parquet", tmp_path / "store", memory_budget="64MB", partitions=1)
    store, wanted = HistoryStore.open(tmp_path / "store"), in_memory(log)
    pd.testing.assert_frame_equal(by_user(store, wanted.users), by_user(wanted, wanted.users))


def test_a_log_in_lists_is_the_same_log(log: pd.DataFrame, tmp_path: Path) -> None:
    flat = log.drop(columns=["device", "hour"])
    lists = flat.groupby("user_id", sort=False).agg(list).reset_index()
    lists.to_parquet(tmp_path / "lists.parquet", row_group_size=2)
    made = HistoryStore.build(tmp_path / "lists.parquet", tmp_path / "store", partitions=3)
    store, wanted = HistoryStore.open(tmp_path / "store"), in_memory(flat)
    assert made.generations[0]["rows"] == len(flat)
    pd.testing.assert_frame_equal(by_user(store, wanted.users), by_user(wanted, wanted.users))


def test_lists_of_unlike_length_name_the_part_and_the_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": [[1, 2], [3]], "timestamp": [[START, START], [START, 5]]})
    frame.to_parquet(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"interactions \(lists.parquet\): row 1 has 1 values in 'item_id' but 2 in"):
        HistoryStore.build(tmp_path / "lists.parquet", tmp_path / "store")


def test_items_that_are_given_are_all_that_is_kept(log: pd.DataFrame, tmp_path: Path) -> None:
    items = Vocabulary("item_id", ["i3", "i1", "i5", "i7"])
    log.to_parquet(tmp_path / "log.parquet")
    HistoryStore.build(tmp_path / "log.parquet", tmp_path / "one", items=items)
    HistoryStore.build(tmp_path / "log.parquet", tmp_path / "many", items=items, partitions=4)
    wanted = HistoryStore.from_frame(read_interactions(log), items)
    one, many = HistoryStore.open(tmp_path / "one"), HistoryStore.open(tmp_path / "many")
    assert one.digest == wanted.digest
    assert one.dropped == many.dropped == wanted.dropped > 0
    assert one.places.tolist() == wanted.places.tolist()
    rows = many.user_rows(wanted.users)
    assert [many.places[many.offsets[row] : many.offsets[row + 1]].tolist() for row in rows] == [
        wanted.places[start:stop].tolist() for start, stop in zip(wanted.offsets, wanted.offsets[1:], strict=False)
    ]


def test_bad_rows_name_their_part_or_are_counted_over_all(log: pd.DataFrame, tmp_path: Path) -> None:
    broken = log.assign(timestamp=log["timestamp"].where(log.index % 20 != 19))
    data = in_parts(broken, tmp_path / "log")
    with pytest.raises(DataError, match=r"part-0.parquet, rows from 0 on: .* null timestamp .*Fix them"):
        HistoryStore.build(data, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    with pytest.warns(DataWarning, match=r"interactions: 3 of 69 rows left out: 3 with a null timestamp"):
        HistoryStore.build(data, tmp_path / "store", bad_rows="drop")
    assert len(HistoryStore.open(tmp_path / "store")) == len(log) - 3


def test_whole_numbers_stay_whole_where_rows_with_nulls_are_left_out(tmp_path: Path) -> None:
    table = pa.table({"user_id": [1, None, 2], "item_id": [2**60 + 1, 5, None], "timestamp": [START] * 3})
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.warns(DataWarning, match="2 of 3 rows left out"):
        HistoryStore.build(tmp_path / "log.parquet", tmp_path / "store", bad_rows="drop")
    store = HistoryStore.open(tmp_path / "store")
    assert (store.users.tolist(), store.item_vocabulary.ids.tolist()) == ([1], [2**60 + 1])


def test_an_empty_log_is_refused(log: pd.DataFrame, tmp_path: Path) -> None:
    log.head(0).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="interactions is empty: it has no row"):
        HistoryStore.build(tmp_path / "log.parquet", tmp_path / "store")


def test_an_empty_part_is_passed_over(log: pd.DataFrame, tmp_path: Path) -> None:
    data = in_parts(log, tmp_path / "log")
    log.head(0).to_parquet(data / "part-9.parquet", index=False)
    assert HistoryStore.build(data, tmp_path / "store").generations[0]["rows"] == len(log)


@pytest.mark.parametrize("keep", [0, 40, 0.9])
def test_a_truncated_part_is_named_before_anything_is_written(keep: float, log: pd.DataFrame, tmp_path: Path) -> None:
    data = in_parts(log, tmp_path / "log")
    whole = (data / "part-1.parquet").read_bytes()
    (data / "part-1.parquet").write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(DataError, match=r"cannot read '.*part-1.parquet': .* Write that part again, or take it away"):
        HistoryStore.build(data, tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_part_with_a_damaged_page_is_named(log: pd.DataFrame, tmp_path: Path) -> None:
    data = in_parts(log, tmp_path / "log")
    whole = bytearray((data / "part-2.parquet").read_bytes())
    whole[4:400] = bytes(396)
    (data / "part-2.parquet").write_bytes(whole)
    with pytest.raises(DataError, match=r"cannot read '.*part-2.parquet'"):
        HistoryStore.build(data, tmp_path / "store")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": 1}, r"'user_id' is text \(.*string\) in 'part-0.parquet' but a whole number \(int64\) in 'part-1"),
        ({"timestamp": "2024-05-01"}, r"'timestamp' is a whole number \(int64\) in 'part-0.parquet' but text"),
        ({"item_id": None}, r"'part-0.parquet' has a column 'item_id', 'part-1.parquet' has none; it has 'user_id'"),
    ],
)
def test_parts_that_differ_are_named(change: dict[str, Any], message: str, log: pd.DataFrame, tmp_path: Path) -> None:
    data = in_parts(log, tmp_path / "log")
    [(name, value)] = change.items()
    part = pd.read_parquet(data / "part-1.parquet")
    part = part.drop(columns=name) if value is None else part.assign(**{name: value})
    part.to_parquet(data / "part-1.parquet", index=False)
    with pytest.raises(DataError, match=message):
        HistoryStore.build(data, tmp_path / "store")


def test_folders_named_by_a_key_give_a_column(log: pd.DataFrame, tmp_path: Path) -> None:
    for country in ("at", "be"):
        (tmp_path / "log" / f"country={country}").mkdir(parents=True)
        log.to_parquet(tmp_path / "log" / f"country={country}" / "part.parquet")
    HistoryStore.build(tmp_path / "log", tmp_path / "store", extras=["country"])
    assert set(HistoryStore.open(tmp_path / "store").extras["country"]) == {"at", "be"}


def test_extras_are_kept_in_their_type_or_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": [1, 2, 1], "item_id": [1, 2, 3], "timestamp": START})
    kinds = {"whole": [1, 2, 3], "holes": [1, None, 3], "yes": [True, False, True], "word": ["a", "bcd", "ä"]}
    frame.assign(**kinds).to_parquet(tmp_path / "log.parquet")
    HistoryStore.build(tmp_path / "log.parquet", tmp_path / "store", extras=list(kinds))
    extras = HistoryStore.open(tmp_path / "store").extras
    assert [extras[name].dtype for name in kinds] == [np.int64, np.float64, np.bool_, np.dtype("<U3")]
    assert extras["word"].tolist() == ["a", "ä", "bcd"]
    frame.assign(word=["a", None, "b"]).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ArtifactError, match="the extra column 'word' holds mixed objects"):
        HistoryStore.build(tmp_path / "log.parquet", tmp_path / "other", extras=["word"])
    with pytest.raises(DataError, match="interactions has no column 'nothing'; it has 'user_id', 'item_id'"):
        HistoryStore.build(tmp_path / "log.parquet", tmp_path / "other", extras=["nothing"])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("budget", ["much", "1 XB", "10MB", True])
def test_a_budget_that_is_none_is_refused(budget: Any, log: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="memory_budget must be"):
        HistoryStore.build(log, tmp_path / "store", memory_budget=budget)


def test_a_store_goes_out_in_lists_and_comes_back(log: pd.DataFrame, tmp_path: Path) -> None:
    store = in_memory(log, extras=("device",))
    lists = store.to_lists()
    assert lists["user_id"].tolist() == store.users.tolist()
    assert [len(times) for times in lists["timestamp"]] == store.lengths.tolist()
    lists.to_parquet(tmp_path / "lists.parquet")
    HistoryStore.build(tmp_path / "lists.parquet", tmp_path / "store", extras=["device"], items=store.item_vocabulary)
    pd.testing.assert_frame_equal(HistoryStore.open(tmp_path / "store").to_frame(), store.to_frame())
