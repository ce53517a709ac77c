"""Tests of the speed of a whole job beside its scorer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipelines.benchmark import job_speed


def test_scorer_batches_and_job_take_turns_over_the_same_pairs(one_thread: None, tmp_path: Path) -> None:
    job = job_speed.make_inputs(tmp_path, "attention", 25, candidates=4, dim=8)
    times = job_speed.measure(job, 100, 2)
    assert times["row"].tolist() == ["scorer", "batches", "job"] * 2
    assert times["round"].tolist() == [1] * 3 + [2] * 3
    scores = pd.read_parquet(tmp_path / "out" / "parts")
    assert len(scores) == 100
    assert scores["reason"].isna().all()


def test_ratios_are_to_the_scorer_of_the_same_round() -> None:
    lines = [("scorer", 1, 1.0), ("job", 1, 2.0), ("scorer", 2, 4.0), ("job", 2, 5.0)]
    times = pd.DataFrame(lines, columns=["row", "round", "seconds"])
    times = times.assign(cpu_seconds=times["seconds"], pairs_per_s=10 / times["seconds"])
    found = job_speed.summary(times).set_index("row")
    assert found.loc["job", "of_scorer"] == pytest.approx((0.5 + 0.8) / 2)
    assert found.loc["scorer", "of_scorer"] == 1


def test_users_of_a_slate_come_round_again_with_other_requests(tmp_path: Path) -> None:
    job_speed.write_slate(tmp_path / "slate", 5, 3, users=2)
    slate = pd.read_parquet(tmp_path / "slate")
    assert slate["user_id"].tolist() == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3 + [0] * 3
    assert slate["request_id"].nunique() == 5
