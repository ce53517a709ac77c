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
