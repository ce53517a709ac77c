from __future__ import annotations

import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from recattn.cli.files import check_file, check_place, deliver, write_table
from recattn.errors import ArtifactError, ConfigError

FRAME = pd.DataFrame({"user_id": ["a", "b"], "score": [0.5, None]})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_comes_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    write_table(FRAME, path)
    back = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    pd.testing.assert_frame_equal(back, FRAME)
    assert os.listdir(tmp_path) == [path.name]


def test_a_disk_that_refuses_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.csv"
    path.write_text("old")

    def half(self: pd.DataFrame, file: Path, **_: object) -> None:
        Path(file).write_text("hal")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(ArtifactError, match=r"x\.csv could not be written: No space left on device\. Nothing"):
        write_table(FRAME, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.csv"]


def test_values_that_parquet_cannot_hold_are_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="could not be written"):
        write_table(pd.DataFrame({"x": [1, "one"]}), tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == []


def test_no_file_asked_for_is_none() -> None:
    assert check_file(None, overwrite=False) is None


def test_an_unknown_ending_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'x\.parqet' by its ending.*Did you mean '\.parquet'"):
        check_file("x.parqet", overwrite=False)


def test_an_existing_file_is_kept_unless_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.touch()
    with pytest.raises(ArtifactError, match=r"x\.csv already exists\. Pass --overwrite"):
        check_file(str(path), overwrite=False)
    assert check_file(str(path), overwrite=True) == path


def test_a_missing_parent_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"there is no folder .*nowhere\. Make it first"):
        check_place(tmp_path / "nowhere" / "x.csv", overwrite=False)


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(ArtifactError, match="is a folder"):
        check_file(str(tmp_path / "x.csv"), overwrite=True)


def test_a_folder_without_permission_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ArtifactError, match="no permission to write in"):
        check_place(tmp_path / "x.csv", overwrite=False)


def test_a_result_without_a_file_is_csv_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    deliver(FRAME, None, "scores")
    assert capsys.readouterr().out == "user_id,score\na,0.5\nb,\n"
