"""The measurement of error rate and power, on few and small samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.benchmark.comparing import WORLDS, World, main, rows


def test_a_world_without_gain_favours_nobody_and_one_with_gain_has_it() -> None:
    world = World("w", 0.2, 0.5, False)
    for gain in (0.0, 0.1):
        differences, users = world.draw(200_000, gain, np.random.default_rng(0))
        first = 0.2 * np.mean(1 / np.log2(np.minimum(np.random.default_rng(1).geometric(0.25, 100_000), 10) + 1))
        assert len(users.counts) == 200_000
        assert differences.mean() / first == pytest.approx(gain, abs=0.01)


def test_rows_tell_error_and_power_beside_theory(tmp_path: Path) -> None:
    assert main(["--users=[100]", "--repeats=20", "--gain=0.5", f"--out={tmp_path / 'c.csv'}"]) == 0
    table = pd.read_csv(tmp_path / "c.csv")
    assert table["world"].tolist() == [world.name for world in WORLDS]
    assert (table["error"] <= 0.3).all()
    assert table["theory"].between(0.05, 1).all()


def test_a_large_gain_is_found_as_theory_says() -> None:
    row = list(rows([800], 60, 0.5, 0))[3]
    assert row["power"] == pytest.approx(row["theory"], abs=0.15)
