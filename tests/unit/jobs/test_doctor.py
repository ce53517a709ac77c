from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recattn.dataset import HistoryStore
from recattn.jobs import FailIf, doctor, examine, run_job
from recattn.jobs.doctor import Diagnosis


def texts(found: Diagnosis, level: str) -> str:
    return "\n".join(f"{one.about}: {one.text}" for one in found.findings if one.level == level)


def test_a_sound_job_has_no_error_and_nothing_is_written(files, tmp_path: Path) -> None:
    job = files.job(tmp_path / "out")
    found = examine(job)
    assert found.errors == 0
    assert "of the rows have an item that the model does not know" in texts(found, "note")
    assert found.estimate is not None
    assert (found.estimate.rows, found.estimate.parts) == (900, 5)
    assert found.estimate.rate > 0
    assert not (tmp_path / "out").exists()


def test_estimates_are_of_the_size_of_what_the_job_then_takes(files, tmp_path: Path) -> None:
    for changes in ({"rows_a_part": 1000}, {"k": 5}):
        out = tmp_path / "-".join(changes)
        job = files.job(out, **changes)
        estimate = examine(job).estimate
        run_job(job)
        written = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        assert estimate is not None
        assert written / 3 < estimate.disk < 3 * written


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nothing"}, "model and history: nothing holds no model"),
        ({"history": "nothing"}, "model and history: interactions: no file or folder 'nothing'"),
        ({"slate": "nothing"}, "slate: slate: no file or folder 'nothing'"),
        ({"unit": "ms"}, "only makes sense as 's'"),
        ({"columns": {"item_id": "user_id"}}, "columns="),
        ({"fail_if": FailIf(score_drift=0.1)}, "fail_if: fail_if.score_drift needs"),
        ({"stage": "deep", "k": 2, "candidates": "nothing"}, "candidates and fallback: candidates: no file or folder"),
    ],
)
def test_what_a_door_would_refuse_is_an_error_found(files, tmp_path: Path, change, said) -> None:
    found = examine(files.job(tmp_path / "out", **change))
    assert found.errors
    assert said in texts(found, "error")


def test_several_inputs_are_wrong_at_once(files, tmp_path: Path) -> None:
    found = examine(files.job(tmp_path / "out", history="nothing", slate="nowhere"))
    assert found.errors == 2
    (tmp_path / "out").write_text("")
    assert examine(files.job(tmp_path / "out", slate="nowhere")).errors == 2


def test_types_and_columns_of_a_slate_are_told(files, tmp_path: Path) -> None:
    files.slate.assign(item_id=1).to_parquet(tmp_path / "numbers.parquet")
    files.slate.rename(columns={"user_id": "user"}).to_parquet(tmp_path / "names.parquet")
    for name, said in (("numbers", "the model"), ("names", "has no column 'user_id'")):
        found = examine(files.job(tmp_path / "out", slate=str(tmp_path / f"{name}.parquet")))
        assert found.errors == 1
        assert said in texts(found, "error")


def test_what_spoils_a_result_is_a_warning(files, tmp_path: Path) -> None:
    slate = pd.concat([files.slate.assign(user_id="stranger"), files.slate.assign(item_id="gone")])
    slate.to_parquet(tmp_path / "slate.parquet")
    said = texts(examine(files.job(tmp_path / "out", slate=str(tmp_path / "slate.parquet"))), "warning")
    assert "of the rows have an item that the model does not know" in said
    assert "are there twice" in said
    files.log.assign(item_id="other").to_parquet(tmp_path / "log.parquet")
    found = examine(files.job(tmp_path / "out", history=str(tmp_path / "log.parquet")))
    assert "100% of the interactions have an item that the model does not know" in texts(found, "warning")
    limited = examine(files.job(tmp_path / "out", fail_if=FailIf(no_history=0.0)))
    assert "fail_if.no_history is 0%" in texts(limited, "warning")


def test_times_that_cannot_be_are_told(files, tmp_path: Path) -> None:
    log = files.log
    for change, said in (
        (log["timestamp"] // 1000, "count something else"),
        (log["timestamp"] - log["timestamp"].max() + int(time.time()) + 10**8, "in the future"),
        (log["timestamp"] - 10**8, "Is it an old log"),
    ):
        log.assign(timestamp=change).to_parquet(tmp_path / "log.parquet")
        assert said in texts(examine(files.job(tmp_path / "out", history=str(tmp_path / "log.parquet"))), "warning")


def test_a_log_with_rows_twice_is_told_and_a_store_is_looked_at_too(files, tmp_path: Path) -> None:
    HistoryStore.build(pd.concat([files.log, files.log]), tmp_path / "store")
    said = texts(examine(files.job(tmp_path / "out", history=str(tmp_path / "store"))), "warning")
    assert "50% of the interactions are there twice" in said
    assert "of other lengths than those of train" in said


def test_scarce_memory_and_disk_are_told(files, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "_memory", lambda: 10**6)
    monkeypatch.setattr(doctor.Storage, "free_bytes", lambda self: 10)
    found = examine(files.job(tmp_path / "out"))
    assert "are needed and 1.0 MB are there" in texts(found, "warning")
    assert "Make room, or write elsewhere" in texts(found, "error")
    assert "disk" not in texts(examine(files.job(tmp_path / "out"), place=False), "error")


def test_work_files_are_estimated_where_rows_of_a_request_lie_apart(files, tmp_path: Path) -> None:
    apart = examine(files.job(tmp_path / "out", grouping="auto"))
    assert apart.estimate is not None
    assert apart.estimate.work > 0
    files.slate.sort_values("user_id").to_parquet(tmp_path / "sorted.parquet")
    near = examine(files.job(tmp_path / "out", grouping="auto", slate=str(tmp_path / "sorted.parquet")))
    assert near.estimate is not None
    assert near.estimate.work == 0


def test_a_folder_that_holds_a_job_already_is_told(files, tmp_path: Path) -> None:
    job = files.job(tmp_path / "out")
    run_job(job)
    assert "holds a finished result" in texts(examine(job), "note")
    assert examine(replace(job, history=str(tmp_path / "out"), out=str(tmp_path / "out" / "in"))).errors
    assert np.isfinite(examine(job).estimate.seconds)
