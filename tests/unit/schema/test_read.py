"""Tests of reading files into frames."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recattn.errors import DataError
from recattn.schema import read_frame, read_interactions

FRAME = pd.DataFrame({"user_id": [1, 2], "item_id": ["x", "y"], "timestamp": [10, 20]})


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet", "LOG.CSV"])
def test_files_are_read_by_their_ending(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (FRAME.to_parquet if name.endswith("parquet") else FRAME.to_csv)(path, index=False)
    pd.testing.assert_frame_equal(read_frame(path, "log"), FRAME, check_dtype=False)
    pd.testing.assert_frame_equal(read_frame(str(path), "log"), FRAME, check_dtype=False)


def test_tab_separated_files_are_read(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "log.tsv", sep="\t", index=False)
    assert list(read_frame(tmp_path / "log.tsv", "log").columns) == list(FRAME.columns)


def test_a_dataframe_comes_back_as_it_is() -> None:
    assert read_frame(FRAME, "log") is FRAME


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_parts_of_a_folder_are_read_by_name(tmp_path: Path, kind: str) -> None:
    for name, row in (("part-1", 1), ("part-0", 0)):
        part = FRAME.iloc[[row]]
        (part.to_parquet if kind == "parquet" else part.to_csv)(tmp_path / f"{name}.{kind}", index=False)
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part-0.crc").write_text("")
    (tmp_path / "README.txt").write_text("notes")
    pd.testing.assert_frame_equal(read_frame(tmp_path, "log"), FRAME, check_dtype=False)


def test_subfolders_named_by_a_key_become_a_column(tmp_path: Path) -> None:
    for country in ("at", "be"):
        folder = tmp_path / f"country={country}"
        folder.mkdir()
        FRAME.to_parquet(folder / "part.parquet")
    assert read_frame(tmp_path, "log")["country"].tolist() == ["at", "at", "be", "be"]


def test_parts_that_differ_are_named(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    FRAME.rename(columns={"item_id": "item"}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match=r"parts of .* differ: 'a\.csv' has .*'item_id'.* 'b\.csv' has .*'item'"):
        read_frame(tmp_path, "log")


def test_mixed_folders_are_refused(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    FRAME.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="mixes CSV and Parquet"):
        read_frame(tmp_path, "log")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"interactions: no file or folder '.*nowhere.csv' \(looked from"):
        read_interactions(tmp_path / "nowhere.csv")


def test_an_unknown_ending_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.xlsx").write_text("")
    with pytest.raises(DataError, match=r"cannot tell what '.*log.xlsx' is by its ending.*\.parquet"):
        read_frame(tmp_path / "log.xlsx", "interactions")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no Parquet or CSV file; it is empty"):
        read_frame(tmp_path, "interactions")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"it has 'notes\.txt'"):
        read_frame(tmp_path, "interactions")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.parquet", b"not parquet"), ("a.csv.gz", b"not gzip"), ("a.csv", b"\xff\xfe\x00")],
)
def test_a_damaged_file_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"log: cannot read '.*{name}'"):
        read_frame(tmp_path / name, "log")


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"the file '.*a.csv' is empty"):
        read_frame(tmp_path / "a.csv", "log")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz"])
def test_a_truncated_file_is_told(tmp_path: Path, name: str) -> None:
    frame = pd.concat([FRAME] * 1000)
    (frame.to_parquet if name.endswith("parquet") else frame.to_csv)(tmp_path / name, index=False)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"log: cannot read '.*{name}'"):
        read_frame(tmp_path / name, "log")
