"""Tests of the history store on disk."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.history import COLUMNS, HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError

ITEMS = Vocabulary("item_id", ["a", "b", "c"])


def small(users: str = "xyx", items: str = "abc", **changes: Any) -> HistoryStore:
    frame = pd.DataFrame({"user_id": list(users), "item_id": list(items), "timestamp": range(len(users))})
    return HistoryStore.from_frame(frame, ITEMS, **changes)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def manifest(folder: Path, **changes: Any) -> None:
    path = folder / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_store_comes_back_as_it_was(scene: Any, tmp_path: Path) -> None:
    saved = scene.store.recode(Vocabulary("item_id", [f"i{n}" for n in range(1, 12)])).save(tmp_path / "store")
    opened = HistoryStore.open(tmp_path / "store")
    for store in (saved, opened):
        assert store.digest == scene.store.recode(store.item_vocabulary).digest
        assert store.dropped > 0
        assert store.places.tolist() == scene.store.recode(store.item_vocabulary).places.tolist()
        pd.testing.assert_frame_equal(
            store.to_frame(), scene.store.recode(store.item_vocabulary).to_frame(), check_column_type=False
        )


def test_its_columns_are_mapped_and_cannot_be_written(scene: Any, tmp_path: Path) -> None:
    store = scene.store.save(str(tmp_path / "store"))
    columns = [getattr(store, name) for name in COLUMNS if name != "positions"] + list(store.extras.values())
    assert len(columns) == 6
    assert all(isinstance(column, np.memmap) for column in columns)
    with pytest.raises(ValueError, match="read-only"):
        store.items[0] = 1


def test_it_pickles_as_its_path(scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = scene.store.save("store")
    text = pickle.dumps(store)
    assert len(text) < 500
    monkeypatch.chdir("/")
    assert pickle.loads(text).digest == scene.store.digest
    assert len(pickle.dumps(store.select(np.ones(len(store), bool)))) > 500


def test_an_interaction_takes_at_most_24_bytes_on_disk(tmp_path: Path) -> None:
    n = 4000
    frame = pd.DataFrame({"user_id": np.arange(n) // 100, "item_id": np.arange(n) % 4, "timestamp": np.arange(n)})
    frame = frame.assign(event_type="buy", weight=np.float32(1))
    HistoryStore.from_frame(frame, Vocabulary("item_id", [1, 2, 3])).save(tmp_path / "store")
    segment = tmp_path / "store" / "segments" / "000000"
    assert sum((segment / f"{name}.npy").stat().st_size - 128 for name in COLUMNS) <= 24 * n * 3 / 4


@pytest.mark.parametrize("ids", [[3, 1, 3], ["x", "y", "x"], [True, False, True], [0.5, 1.5, 0.5]])
def test_users_keep_their_type(ids: list[Any], tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": ids, "item_id": list("abc"), "timestamp": [1, 2, 3]})
    store = HistoryStore.from_frame(frame, ITEMS).save(tmp_path / "store")
    assert store.user_rows(pd.unique(frame["user_id"])).tolist() == [0, 1]
    assert store.users.tolist() == ids[:2]


def test_an_order_only_store_comes_back(tmp_path: Path) -> None:
    store = small(time="order").save(tmp_path / "store")
    assert store.time == "order"
    assert store.to_frame()["item_id"].tolist() == ["a", "c", "b"]


def test_an_empty_store_comes_back(tmp_path: Path) -> None:
    store = small("", "").save(tmp_path / "store")
    assert (len(store), len(store.users), store.end) == (0, 0, None)
    assert len(small("xx", "??").save(tmp_path / "unknown").users) == 1


def test_several_segments_are_one_store(tmp_path: Path) -> None:
    first, second = small("xyx", "abc").save(tmp_path / "store"), small("xz", "ca").save(tmp_path / "second")
    (tmp_path / "second" / "segments" / "000000").rename(tmp_path / "store" / "segments" / "000001")
    segments = [
        json.loads((tmp_path / name / "store.json").read_text())["segments"]["000000"] for name in ("store", "second")
    ]
    manifest(tmp_path / "store", segments={"000000": segments[0], "000001": segments[1]})
    merged = HistoryStore.open(tmp_path / "store")
    assert merged.digest == HistoryStore.merge([first, second]).digest
    assert merged.to_frame()["item_id"].tolist() == ["a", "c", "c", "b", "a"]
    assert pickle.loads(pickle.dumps(merged)).digest == merged.digest


def test_a_folder_that_exists_is_replaced_only_when_told(tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    with pytest.raises(ArtifactError, match=r"store already exists. Pass overwrite=True to replace it, or choose"):
        small("zz", "aa").save(tmp_path / "store")
    assert HistoryStore.open(tmp_path / "store").digest == small().digest
    assert small("zz", "aa").save(tmp_path / "store", overwrite=True).users.tolist() == ["z"]
    assert os.listdir(tmp_path) == ["store"]


def test_a_store_may_replace_the_folder_it_is_mapped_from(tmp_path: Path) -> None:
    store = small().save(tmp_path / "store")
    again = store.save(tmp_path / "store", overwrite=True)
    assert again.digest == store.digest == small().digest


def test_a_missing_folder_and_another_folder_are_no_store(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "file.parquet").write_text("no")
    for name in ("nothing", "other", "file.parquet"):
        with pytest.raises(ArtifactError, match=f"{name} is not a history store: it has no store.json"):
            HistoryStore.open(tmp_path / name)


@pytest.mark.parametrize("text", ["", '{"format": 1, "kind"', "[]", '"history_store"'])
def test_a_damaged_manifest_is_told(text: str, tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    (tmp_path / "store" / "store.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"store.json is damaged: .*Prepare the store again"):
        HistoryStore.open(tmp_path / "store")


def test_a_newer_format_asks_for_a_newer_recattn(tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    manifest(tmp_path / "store", format=3)
    with pytest.raises(ArtifactError, match=r"has format 3 of 'history_store'; .* up to format 2. Upgrade recattn"):
        HistoryStore.open(tmp_path / "store")
    manifest(tmp_path / "store", format=1, kind="model")
    with pytest.raises(ArtifactError, match="has format 1 of 'model'; this recattn reads history_store"):
        HistoryStore.open(tmp_path / "store")


@pytest.mark.parametrize("keep", [0, 60, 130])
@pytest.mark.parametrize("name", ["items.npy", "times.npy", "offsets.npy", "users.parquet", "extra0.npy"])
def test_a_truncated_file_is_told(name: str, keep: int, scene: Any, tmp_path: Path) -> None:
    scene.store.save(tmp_path / "store")
    path = tmp_path / "store" / "segments" / "000000" / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"history store .*store is damaged: .*Prepare it again"):
        HistoryStore.open(tmp_path / "store")


@pytest.mark.parametrize("name", ["items.parquet", "segments/000000/items.npy", "segments/000000/users.parquet"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    (tmp_path / "store" / name).unlink()
    with pytest.raises(ArtifactError, match=rf"store is damaged: {Path(name).name} is missing. Prepare it again"):
        HistoryStore.open(tmp_path / "store")


def test_columns_of_unlike_length_are_told(tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    segment = tmp_path / "store" / "segments" / "000000"
    np.save(segment / "times.npy", np.arange(2))
    with pytest.raises(ArtifactError, match=r"damaged: 000000/times.npy has 2 rows, 3 expected"):
        HistoryStore.open(tmp_path / "store")


@pytest.mark.parametrize("offsets", [[0, 3], [0, 2, 4], [0, 2, 3, 3]])
def test_offsets_that_do_not_fit_are_told(offsets: list[int], tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    np.save(tmp_path / "store" / "segments" / "000000" / "offsets.npy", np.array(offsets))
    with pytest.raises(ArtifactError, match=r"damaged: 000000/offsets.npy does not fit 2 users with 3 rows"):
        HistoryStore.open(tmp_path / "store")


def test_a_manifest_that_lacks_a_part_is_told(tmp_path: Path) -> None:
    small().save(tmp_path / "store")
    manifest(tmp_path / "store", segments={"000000": {"interactions": 3}})
    with pytest.raises(ArtifactError, match=r"store is damaged: .*Prepare it again"):
        HistoryStore.open(tmp_path / "store")


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_half_written_stays_when_the_disk_is_full(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if overwrite:
        small().save(tmp_path / "store")
    before, open_file = files(tmp_path), Path.open

    def full(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == "times.npy":
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_file(path, *how, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(
        ArtifactError, match=r"could not be written to .*store: No space left on device\. (Nothing|What) was"
    ):
        small("zz", "aa").save(tmp_path / "store", overwrite=overwrite)
    assert files(tmp_path) == before
    if overwrite:
        assert HistoryStore.open(tmp_path / "store").digest == small().digest


def test_the_old_store_is_back_when_the_last_step_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small().save(tmp_path / "store")
    before, rename = files(tmp_path), Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == ".store.partial":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ArtifactError, match=r"store: Permission denied\. What was there is kept"):
        small("zz", "aa").save(tmp_path / "store", overwrite=True)
    monkeypatch.undo()
    assert files(tmp_path) == before
    assert HistoryStore.open(tmp_path / "store").digest == small().digest


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"the history store could not be written to .*file/store: "):
        small().save(tmp_path / "file" / "store")


def test_leftovers_of_a_killed_save_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".store.partial" / "segments").mkdir(parents=True)
    assert small().save(tmp_path / "store").digest == small().digest
    assert os.listdir(tmp_path) == ["store"]


def test_extras_of_mixed_objects_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": 1, "item_id": list("ab"), "timestamp": 1, "thing": ["text", 3]})
    with pytest.raises(ArtifactError, match="the extra column 'thing' holds mixed objects, which cannot be saved"):
        HistoryStore.from_frame(frame, ITEMS, extras=["thing"]).save(tmp_path / "store")
    assert files(tmp_path) == []


def test_users_that_cannot_be_saved_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    users = pd.Series([(1, 2), (3, 4)])
    frame = pd.DataFrame({"user_id": users, "item_id": list("ab"), "timestamp": 1})
    with pytest.raises(ArtifactError, match=r"ids of user_id are of type tuple, which cannot be saved. Convert them"):
        HistoryStore.from_frame(frame, ITEMS).save(tmp_path / "store")
    assert files(tmp_path) == []
