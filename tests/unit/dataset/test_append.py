"""Tests of stores that grow."""

from __future__ import annotations

import errno
import os
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset import store_files
from recattn.dataset.compact import compact_store
from recattn.dataset.history import HistoryStore
from recattn.dataset.manifest import read_manifest
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError, DataError

START = 1_700_000_000


def log(users: str, items: str, times: list[int], **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"user_id": list(users), "item_id": list(items), "timestamp": np.array(times) + START}).assign(
        **more
    )


FIRST = log("xyxz", "abca", [10, 20, 30, 40], event_type=["view", "buy", "view", "view"])
SECOND = log("yxnx", "dabe", [50, 5, 60, 30], event_type=["like", "view", "buy", None])  # two rows are late


def both() -> HistoryStore:
    whole = pd.concat([FIRST, SECOND], ignore_index=True)
    return HistoryStore.from_frame(whole, Vocabulary("item_id", list("abcde")))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    HistoryStore.build(FIRST, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """All stores are as good as large."""
    monkeypatch.setattr(store_files, "COMPACT_FROM", 1)


def names(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.name != ".lock")


@pytest.mark.parametrize("form", ["frame", "parquet"])
def test_what_is_appended_is_sorted_to_its_place(form: str, store: Path, tmp_path: Path) -> None:
    SECOND.to_parquet(tmp_path / "new.parquet")
    HistoryStore.append(store, SECOND if form == "frame" else tmp_path / "new.parquet")
    opened = HistoryStore.open(store)
    assert opened.digest == both().digest


def test_the_segment_that_was_there_is_not_touched(store: Path) -> None:
    segment = store / "segments" / "000000"
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in segment.iterdir()}
    HistoryStore.append(store, SECOND)
    assert {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in segment.iterdir()} == before
    assert sorted(os.listdir(store / "segments")) == ["000000", "000001"]


def test_the_manifest_records_the_latest_moment_and_what_came_late(store: Path) -> None:
    assert read_manifest(store).high_water == START + 40
    made = HistoryStore.append(store, SECOND)
    assert made == read_manifest(store)
    assert (made.high_water, made.generation) == (START + 60, 1)
    assert [(step["rows"], step["late"]) for step in made.generations] == [(4, 0), (4, 2)]
    assert HistoryStore.append(store, log("x", "a", [1])).high_water == START + 60


def test_items_keep_their_codes_and_new_ones_come_at_the_end(store: Path) -> None:
    before = HistoryStore.open(store)
    HistoryStore.append(store, SECOND)
    after = HistoryStore.open(store)
    assert after.item_vocabulary.ids.tolist() == ["a", "b", "c", "d", "e"]
    assert after.behaviour_vocabulary is not None
    assert after.behaviour_vocabulary.ids.tolist() == ["view", "buy", "like"]
    assert before.item_vocabulary.ids.tolist() == ["a", "b", "c"]


def test_a_large_store_is_put_together_once_and_then_mapped(store: Path, large: None) -> None:
    HistoryStore.append(store, SECOND)
    opened = HistoryStore.open(store)
    assert isinstance(opened.items, np.memmap)
    assert opened.digest == both().digest
    assert names(store / "segments")[0] == "000002"
    HistoryStore.append(store, log("q", "z", [70]))
    assert HistoryStore.open(store).users.tolist() == ["x", "y", "z", "n", "q"]
    assert sorted(os.listdir(store)) == [
        ".lock",
        "behaviours-000001.parquet",
        "items-000003.parquet",
        "segments",
        "store.json",
    ]


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_blocks_of_users_make_the_same_store(rows: int, store: Path, scene: Any) -> None:
    HistoryStore.append(store, SECOND)
    compact_store(store, block_rows=rows)
    assert HistoryStore.open(store).digest == both().digest


def test_a_reader_keeps_what_it_opened(store: Path, large: None) -> None:
    reader = HistoryStore.open(store)
    frame = reader.to_frame()
    HistoryStore.append(store, SECOND)
    HistoryStore.open(store)
    pd.testing.assert_frame_equal(reader.to_frame(), frame)


def test_workers_open_what_their_parent_had_open(store: Path, large: None) -> None:
    parent = HistoryStore.open(store)
    text = pickle.dumps(parent)
    assert len(text) < 500
    HistoryStore.append(store, SECOND)
    assert pickle.loads(text).digest == parent.digest
    whole = HistoryStore.open(store)
    assert pickle.loads(pickle.dumps(whole)).digest == whole.digest
    with pytest.raises(ArtifactError, match=r"has grown since it was opened.* Open it again"):
        pickle.loads(text)


def test_a_folder_that_cannot_be_written_to_is_put_together_in_memory(
    store: Path, large: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    HistoryStore.append(store, SECOND)

    def refuse(self: Path, *how: Any, **more: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert HistoryStore.open(store).digest == both().digest
    assert "cannot be put together on the disk: Permission denied" in caplog.text
    with pytest.raises(ArtifactError, match=r"nothing could be appended to .*: Permission denied. What was there is"):
        HistoryStore.append(store, log("q", "z", [70]))


def test_order_only_logs_come_after_what_a_user_has(tmp_path: Path) -> None:
    first, second = FIRST.drop(columns="timestamp"), SECOND.drop(columns="timestamp")
    HistoryStore.build(first, tmp_path / "store", time="order")
    made = HistoryStore.append(tmp_path / "store", second)
    frame = HistoryStore.open(tmp_path / "store").to_frame()
    assert frame.groupby("user_id", sort=False)["item_id"].agg("".join).to_dict() == {
        "x": "acae",
        "y": "bd",
        "z": "a",
        "n": "b",
    }
    assert (made.high_water, made.generations[1]["late"]) == (None, 0)


def test_the_same_file_twice_is_refused_unless_told(store: Path, tmp_path: Path) -> None:
    SECOND.to_parquet(tmp_path / "monday.parquet")
    HistoryStore.append(store, tmp_path / "monday.parquet")
    (tmp_path / "monday.parquet").rename(tmp_path / "tuesday.parquet")
    with pytest.raises(DataError, match=r"tuesday.parquet is in .*store already: it went in as 'monday.parquet'"):
        HistoryStore.append(store, tmp_path / "tuesday.parquet")
    assert len(HistoryStore.open(store)) == 8
    HistoryStore.append(store, tmp_path / "tuesday.parquet", again=True)
    assert len(HistoryStore.open(store)) == 12


def test_the_frame_a_store_was_built_from_is_known_too(store: Path) -> None:
    with pytest.raises(DataError, match=r"a frame is in .* already"):
        HistoryStore.append(store, FIRST.copy())


def test_a_store_of_the_first_format_can_grow(tmp_path: Path) -> None:
    import json

    store = HistoryStore.from_frame(FIRST, Vocabulary("item_id", list("abc"))).save(tmp_path / "store")
    path = tmp_path / "store" / "store.json"
    found = json.loads(path.read_text())
    about = found["segments"]["000000"]
    old = {key: about[key] for key in ("users", "interactions", "dropped", "columns", "extras")}
    path.write_text(json.dumps({"format": 1, "kind": found["kind"], "time": "timestamp", "segments": {"000000": old}}))
    assert HistoryStore.open(tmp_path / "store").digest == store.digest
    made = HistoryStore.append(tmp_path / "store", SECOND)
    assert (made.generations[0]["late"], made.high_water) == (2, START + 60)
    assert HistoryStore.open(tmp_path / "store").digest == both().digest


def test_ids_of_another_kind_and_missing_extras_are_refused(tmp_path: Path) -> None:
    HistoryStore.build(FIRST.assign(device="phone"), tmp_path / "store", extras=["device"])
    before = names(tmp_path)
    with pytest.raises(DataError, match="interactions has no column 'device'"):
        HistoryStore.append(tmp_path / "store", SECOND)
    wrong = SECOND.assign(device="phone")
    with pytest.raises(DataError, match=r"user_id is int in the new interactions .* but str in those before"):
        HistoryStore.append(tmp_path / "store", wrong.assign(user_id=[1, 2, 3, 4]))
    with pytest.raises(DataError, match=r"item_id is int in the new interactions .* but str in those before"):
        HistoryStore.append(tmp_path / "store", wrong.assign(item_id=[1, 2, 3, 4]))
    assert names(tmp_path) == before
    HistoryStore.append(tmp_path / "store", wrong.assign(device="a television"))
    assert set(HistoryStore.open(tmp_path / "store").extras["device"]) == {"phone", "a television"}


def test_what_one_log_lacks_is_unknown(tmp_path: Path) -> None:
    HistoryStore.build(FIRST.drop(columns="event_type"), tmp_path / "store")
    HistoryStore.append(tmp_path / "store", SECOND.assign(weight=2.0))
    store = HistoryStore.open(tmp_path / "store")
    assert store.behaviours is not None
    assert store.weights is not None
    frame = store.to_frame()
    assert frame["event_type"].notna().sum() == 3
    assert frame["weight"].notna().sum() == 4


def test_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a history store: it has no store"):
        HistoryStore.append(tmp_path, SECOND)


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_killed_at_any_file_operation_the_store_is_the_old_or_the_new_one(compact: bool, tmp_path: Path) -> None:
    whole, old = both().digest, HistoryStore.from_frame(FIRST, Vocabulary("item_id", list("abc"))).digest
    ends = []
    for step in range(500):
        path = tmp_path / f"store{step}"
        HistoryStore.build(FIRST, path)
        if compact:
            HistoryStore.append(path, SECOND)
        child = os.fork()
        if not child:
            die_at(step)
            compact_store(path, block_rows=3) if compact else HistoryStore.append(path, SECOND)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ends.append(HistoryStore.open(path).digest)
        assert ends[-1] in ((whole,) if compact else (old, whole))
        if ends[-1] == old:
            HistoryStore.append(path, SECOND)  # leftovers are no obstacle
        compact_store(path)
        assert HistoryStore.open(path).digest == whole
        assert len(os.listdir(path / "segments")) == 1
        if status == 0:
            break
        assert status == 9
    assert step > 10
    assert ends[-1] == whole


def die_at(step: int) -> None:
    """End this process at its `step`-th change of the file system, with nothing cleaned up."""
    count = -1

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+")
        if writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir"):
            count += 1
            if count == step:
                os._exit(9)

    warnings.simplefilter("ignore")
    sys.addaudithook(watch)
