from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recattn.dataset import HistoryStore
from recattn.errors import DataError
from recattn.jobs import run_job
from recattn.jobs.watch import InputChanged


@pytest.fixture
def slate(files, tmp_path: Path) -> Path:
    """The slate as two files of a folder."""
    folder = tmp_path / "slate"
    folder.mkdir()
    for number, part in enumerate((files.slate[:500], files.slate[500:])):
        part.to_parquet(folder / f"{number}.parquet")
    return folder


@pytest.mark.parametrize("change", ["written", "added", "removed"])
def test_a_slate_that_changes_meanwhile_is_refused_and_nothing_of_it_is_left(files, slate, tmp_path, change) -> None:
    def progress(done: int, total: int) -> None:
        if done >= 400:
            if change == "written":
                files.slate[:500].assign(item_id="gone").to_parquet(slate / "0.parquet")
            elif change == "added":
                shutil.copy(slate / "0.parquet", slate / "2.parquet")
            else:
                (slate / "1.parquet").unlink(missing_ok=True)

    job = files.job(tmp_path / "out", slate=str(slate))
    with pytest.raises(InputChanged, match=r"slate changed while the job ran: '\d\.parquet'"):
        run_job(job, progress=progress)
    assert not (tmp_path / "out").exists()


def test_a_file_written_again_with_the_same_bytes_is_the_same(files, slate, tmp_path) -> None:
    def progress(done: int, total: int) -> None:
        for file in slate.iterdir():
            shutil.copy(file, tmp_path / "copy")
            os.utime(tmp_path / "copy", (1, 1))
            os.replace(tmp_path / "copy", file)
        (slate / "notes.txt").write_text("nothing that is read")

    assert run_job(files.job(tmp_path / "out", slate=str(slate)), progress=progress).rows == 900


@pytest.mark.parametrize("name", ["model", "history", "fallback"])
def test_other_inputs_are_watched_too(files, tmp_path: Path, name: str) -> None:
    shutil.copytree(files.folder / "model", tmp_path / "model")
    shutil.copy(files.folder / "log.parquet", tmp_path / "history.parquet")
    files.log[["item_id"]].drop_duplicates().head(3).to_csv(tmp_path / "fallback.csv", index=False)
    touched = {"model": "model/weights.safetensors", "history": "history.parquet", "fallback": "fallback.csv"}[name]

    def progress(done: int, total: int) -> None:
        (tmp_path / touched).write_bytes((tmp_path / touched).read_bytes() + b"x")

    given = {"model": "model", "history": "history.parquet", "fallback": "fallback.csv"}
    job = files.job(tmp_path / "out", k=2, **{key: str(tmp_path / file) for key, file in given.items()})
    with pytest.raises(DataError, match=f"{name} changed while the job ran"):
        run_job(job, progress=progress)


def test_a_store_may_grow_meanwhile_and_may_not_be_written_over(files, tmp_path: Path) -> None:
    store = tmp_path / "store"
    HistoryStore.build(files.log, store)

    def grow(done: int, total: int) -> None:
        if done == 0:
            HistoryStore.append(store, files.log.tail(5).assign(timestamp=files.log["timestamp"].max() + 1))

    assert run_job(files.job(tmp_path / "out", history=str(store)), progress=grow).rows == 900

    def spoil(done: int, total: int) -> None:
        segment = next((store / "segments").iterdir())
        os.utime(next(segment.glob("*")), (1, 1))

    with pytest.raises(InputChanged, match="history changed while the job ran"):
        run_job(files.job(tmp_path / "again", history=str(store)), progress=spoil)
