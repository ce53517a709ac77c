from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recattn.errors import ArtifactError
from recattn.jobs import run_job
from recattn.jobs.lock import NAME, _held, alone

HOLD = (
    "import sys; from pathlib import Path; from recattn.jobs.lock import alone\n"
    "with alone(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
)


def test_a_second_process_is_refused_and_a_dead_one_is_taken_over(tmp_path: Path, caplog) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ArtifactError, match=rf"written by another process \(pid {holder.pid} on "), alone(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with caplog.at_level(logging.INFO, "recattn"), alone(tmp_path):
        assert f"(pid {holder.pid} on" in caplog.text
    assert not (tmp_path / NAME).exists()


def test_the_same_shard_twice_at_once_is_refused_and_another_is_not(files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with alone(out / "shards" / "1-of-2"):
        with pytest.raises(ArtifactError, match="another process"):
            run_job(files.job(out, shard="1/2"))
        assert run_job(files.job(out, shard="2/2")).rows


def test_a_job_that_fails_lets_go_of_its_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), alone(tmp_path):
        raise ValueError("wrong")
    assert not (tmp_path / NAME).exists()


def test_a_start_that_fails_leaves_no_folder_and_no_lock(files, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no model"):
        run_job(files.job(tmp_path / "new" / "out", model=str(files.folder)))
    assert list(tmp_path.iterdir()) == []


def test_a_lock_removed_by_its_holder_meanwhile_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / NAME
    opened = os.open(path, os.O_RDWR | os.O_CREAT)
    path.unlink()
    assert _held(opened, path, fcntl) is None
    with alone(tmp_path):
        assert path.exists()


def test_no_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written to"), alone(tmp_path / "file" / "out"):
        pass
