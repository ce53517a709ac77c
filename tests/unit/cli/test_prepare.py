from __future__ import annotations

from pathlib import Path

import pandas as pd

from recattn.dataset import HistoryStore
from recattn.dataset.synthetic import World


def test_a_file_becomes_a_store_with_all_its_items(recattn, world: World, tmp_path: Path) -> None:
    log = world.interactions
    theirs = log.assign(ts=log["timestamp"] * 1000).drop(columns="timestamp")
    theirs.to_csv(tmp_path / "log.csv", index=False)
    done = recattn("prepare", "log.csv", "--out", "store", "--columns.timestamp", "ts", "--unit", "ms")
    assert done.status == 0
    assert f"{len(log):,} interactions of {log['user_id'].nunique()} users" in done.out
    assert "recattn train --interactions store" in done.out
    store = HistoryStore.open(tmp_path / "store")
    assert len(store.item_vocabulary) == log["item_id"].nunique()
    assert store.times is not None
    assert store.times.min() == log["timestamp"].min()


def test_extras_and_order_are_kept(recattn, tmp_path: Path) -> None:
    pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "device": ["a", "b"]}).to_csv(tmp_path / "x.csv", index=False)
    done = recattn("prepare", "x.csv", "--out", "store", "--time", "order", "--extras", "device")
    assert "--model.time order --split.kind leave_last_out" in done.out
    store = HistoryStore.open(tmp_path / "store")
    assert (store.time, store.extras["device"].tolist()) == ("order", ["a", "b"])


def test_a_wrong_unit_is_answered_with_the_option_to_pass(recattn, files: Path) -> None:
    done = recattn("prepare", files / "interactions.parquet", "--out", "store", "--unit", "ms")
    assert done.status == 1
    assert "Pass --unit s." in done.err


def test_a_missing_column_is_answered_with_the_option_to_pass(recattn, tmp_path: Path) -> None:
    pd.DataFrame({"user_id": [1], "item_id": [1], "ts": [10]}).to_csv(tmp_path / "x.csv", index=False)
    done = recattn("prepare", "x.csv", "--out", "store")
    assert done.status == 1
    assert "interactions has no column 'timestamp'" in done.err
    assert "pass --columns.timestamp ts." in done.err


def test_bad_rows_are_dropped_when_asked(recattn, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"user_id": [1, 1, 2], "item_id": [1, 2, 1], "timestamp": ["2024-05-01", "soon", "2024-05-02"]}
    )
    frame.to_csv(tmp_path / "x.csv", index=False)
    refused = recattn("prepare", "x.csv", "--out", "store")
    assert (refused.status, "pass --bad_rows drop" in refused.err) == (1, True)
    done = recattn("prepare", "x.csv", "--out", "store", "--bad_rows", "drop")
    assert (done.status, "warning: interactions: 1 of 3 rows left out" in done.err) == (0, True)


def test_a_store_is_replaced_only_when_asked(recattn, files: Path) -> None:
    ask = ("prepare", files / "interactions.parquet", "--out", "store")
    assert recattn(*ask).status == 0
    again = recattn(*ask)
    assert (again.status, "store already exists. Pass --overwrite" in again.err) == (1, True)
    assert recattn(*ask, "--overwrite").status == 0


def test_a_log_is_added_to_a_store(recattn, world: World, tmp_path: Path) -> None:
    log = world.interactions
    early, late = log["timestamp"] < log["timestamp"].median(), log.index % 7 == 0
    log[early & ~late].to_parquet(tmp_path / "first.parquet")
    log[~early | late].to_parquet(tmp_path / "second.parquet")
    log.to_parquet(tmp_path / "whole.parquet")
    recattn("prepare", "first.parquet", "--out", "store")
    done = recattn("prepare", "second.parquet", "--append", "store")
    assert done.status == 0, done.err
    assert f"{(~early | late).sum():,} interactions added, " in done.out
    assert f"{len(log):,} in store now, in 2 segments" in done.out
    assert str(pd.Timestamp(int(log["timestamp"].max()), unit="s")) in done.out
    recattn("prepare", "whole.parquet", "--out", "whole")
    store, whole = HistoryStore.open(tmp_path / "store"), HistoryStore.open(tmp_path / "whole")
    rows = store.user_rows(whole.users)
    assert store.lengths[rows].tolist() == whole.lengths.tolist()
    again = recattn("prepare", "second.parquet", "--append", "store")
    assert (again.status, "Pass --again to take it twice" in again.err) == (1, True)
    packed = recattn("prepare", "second.parquet", "--append", "store", "--again", "--compact")
    assert "in 1 segments" in packed.out


def test_one_row_a_user_is_a_log_too(recattn, world: World, tmp_path: Path) -> None:
    lists = world.interactions.groupby("user_id", sort=False)[["item_id", "timestamp"]].agg(list)
    lists.reset_index().to_parquet(tmp_path / "lists.parquet")
    done = recattn("prepare", "lists.parquet", "--out", "store", "--memory_budget", "100MB")
    assert f"{len(world.interactions):,} interactions of {len(lists):,} users" in done.out


def test_a_store_is_made_or_added_to(recattn, files: Path) -> None:
    log = files / "interactions.parquet"
    for wrong in ((), ("--out", "a", "--append", "b")):
        done = recattn("prepare", log, *wrong)
        assert (done.status, "name the folder to write with --out, or the store" in done.err) == (2, True)
    assert recattn("prepare", log, "--append", "b", "--extras", "device").status == 2
    assert recattn("prepare", log, "--out", "b", "--again").status == 2
    assert "b is not a history store" in recattn("prepare", log, "--append", "b").err
    assert "memory_budget must be at least 64 MB" in recattn("prepare", log, "--out", "b", "--memory_budget", "1KB").err
