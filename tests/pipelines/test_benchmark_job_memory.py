"""Tests of the curve of a job's memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipelines.benchmark import job_memory
from pipelines.benchmark.job_speed import make_inputs


def test_a_size_is_scored_in_a_process_that_tells_its_peak(one_thread: None, tmp_path: Path) -> None:
    job = make_inputs(tmp_path, "attention", 22, candidates=1, dim=8)
    found = job_memory.measure(job, tmp_path, 30, candidates=3, users=22)
    assert found["pairs"] == found["rows"] == 90
    assert found["peak_mb"] >= found["imports_mb"] > 50
    assert found["beside_libraries_mb"] == pytest.approx(found["peak_mb"] - found["imports_mb"], abs=0.2)
    assert not list(tmp_path.glob("tmp*"))  # slate and result are gone


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    table = pd.DataFrame({"pairs": [1e6, 5e7], "beside_libraries_mb": [400.0, 410.0]})
    job_memory.picture(table, 1000, tmp_path / "memory.png")
    assert (tmp_path / "memory.png").stat().st_size > 5000
