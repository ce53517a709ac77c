"""Tests of the cost of explanations as a figure; nothing here is timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.benchmark.explain_cost import main, slate_of


@pytest.fixture(scope="module")
def given(plain: Any, world: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("cost")
    plain.save(folder / "model")
    world.log[["user_id", "item_id", "timestamp"]].to_parquet(folder / "log.parquet")
    return ["--model", str(folder / "model"), "--log", str(folder / "log.parquet")]


def test_the_ratio_and_what_it_is_of_are_printed(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*given, "--requests", "3", "--candidates", "4", "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["12 rows of 3 requests, 1 thread(s)", "27 maskings, 9 a request, 9 at most"]
    assert [line.split()[0] for line in lines[3:6]] == ["score", "explain", "parts"]
    assert lines[3].split()[2] == "1"
    assert lines[6].startswith("explaining costs ")


def test_a_model_that_is_not_there_is_one_line(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "nowhere", *given[2:]]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_the_slate_is_the_same_every_time_without_repeated_items(world: Any) -> None:
    items = world.items["item_id"].to_numpy()
    first, second = (slate_of(world.log, items, 5, 6) for _ in range(2))
    assert first.equals(second)
    assert first["user_id"].nunique() == 5
    assert not first.duplicated().any()
