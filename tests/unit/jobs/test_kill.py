"""A real process killed at every point where it hurts, then started again."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recattn.jobs import ScoreJob, publish, run_job
from recattn.jobs.faults import STATUS, VARIABLE, planned

CODE = "import json, sys; from recattn.jobs import *; run_job(ScoreJob(**json.loads(sys.argv[1])))"


def start(settings: dict[str, Any], fault: str) -> int | None:
    """The exit status of a job in a process of its own, forked to save its imports."""

    def body() -> None:
        os.environ[VARIABLE] = fault
        planned.cache_clear()
        run_job(ScoreJob(**settings))

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    process.join()
    return process.exitcode


def test_a_job_killed_in_a_fresh_interpreter_goes_on_to_the_same_bytes(files, tmp_path: Path, digest_of) -> None:
    run_job(files.job(tmp_path / "whole"))
    settings = files.settings(tmp_path / "out")
    environment = os.environ | {VARIABLE: "after_part_write:1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CODE, json.dumps(settings)], env=environment, capture_output=True)
    assert done.returncode == STATUS, done.stderr.decode()
    assert run_job(ScoreJob(**settings)).kept == 1
    assert digest_of(tmp_path / "out") == digest_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        ("within_part_write:1", 1),
        ("after_part_write:2", 2),
        ("before_manifest:3", 3),
        ("after_manifest:2", 3),
        ("before_success:0", 5),
    ],
)
def test_a_killed_job_goes_on_to_the_same_bytes(files, tmp_path: Path, digest_of, fault: str, kept: int) -> None:
    run_job(files.job(tmp_path / "whole"))
    settings = files.settings(tmp_path / "out")
    assert start(settings, fault) == STATUS
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert run_job(ScoreJob(**settings)).kept == kept
    assert digest_of(tmp_path / "out") == digest_of(tmp_path / "whole")


def test_a_job_killed_while_grouping_goes_on_to_the_same_bytes(files, tmp_path: Path, digest_of) -> None:
    changes = {"grouping": "requests"}
    run_job(files.job(tmp_path / "whole", **changes))
    for point in ("after_bucket:1", "after_part_write:2"):
        assert start(files.settings(tmp_path / "out", **changes), point) == STATUS
    assert (tmp_path / "out" / ".work" / "scored-001.arrow").exists()
    assert run_job(files.job(tmp_path / "out", **changes)).kept == 2
    assert digest_of(tmp_path / "out") == digest_of(tmp_path / "whole")


def test_a_killed_list_of_the_catalog_and_a_killed_shard_go_on(files, tmp_path: Path, digest_of) -> None:
    changes = {"k": 3, "rows_a_part": 6, "shard": "2/2"}
    for name, fault in (("whole", ""), ("out", "after_part_write:5")):
        run_job(files.job(tmp_path / name, **changes | {"shard": "1/2"}))
        assert start(files.settings(tmp_path / name, **changes), fault) == (STATUS if fault else 0)
    run_job(files.job(tmp_path / "out", **changes))
    assert publish(str(tmp_path / "out")).parts == publish(str(tmp_path / "whole")).parts == 7
    assert digest_of(tmp_path / "out") == digest_of(tmp_path / "whole")
