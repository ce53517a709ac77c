from __future__ import annotations

from pathlib import Path

import pytest

from recattn.cli.doctor import _long


@pytest.fixture
def ask(model: Path, files: Path) -> list[object]:
    history, slate = files / "interactions.parquet", files / "candidates.csv"
    return ["doctor", "--model", model, "--history", history, "--slate", slate, "--threads", "1"]


def test_a_sound_job_is_told_what_it_will_take(recattn, ask) -> None:
    done = recattn(*ask, "--out", "scores")
    assert done.status == 0, done.err
    assert "rows in 1 parts" in done.out
    assert "rows/s, measured on" in done.out
    assert "of memory, about" in done.out
    assert not Path("scores").exists()


def test_the_catalog_is_examined_without_a_slate(recattn, ask) -> None:
    done = recattn(*ask[:5], "--k", "3")
    assert done.status == 0, done.err
    assert "requests/s" in done.out


def test_what_keeps_a_job_from_running_sets_the_status(recattn, ask, files: Path) -> None:
    done = recattn(*ask[:3], "--history", "nowhere.parquet", "--slate", files / "candidates.csv")
    assert done.status == 1
    assert "error    model and history: interactions: no file or folder 'nowhere.parquet'" in done.out
    assert "error: 1 of the findings keep the job from running." in done.err
    named = recattn(*ask, "--columns.item_id", "movie")
    assert (named.status, "Pass --columns" in named.out or "has no column 'movie'" in named.out) == (1, True)
    few = recattn(*ask, "--memory_budget", "100MB")
    assert (few.status, "must be at least 512 MB" in few.err) == (2, True)


def test_amounts_are_told_in_words_of_their_size() -> None:
    assert [_long(seconds) for seconds in (5, 600, 9000)] == ["5 s", "10 min", "2.5 h"]
