"""Finding and opening the files of a shop's folder."""

from __future__ import annotations

import ast
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from recattn.errors import DataError, listed
from recattn.schema import read_frame

LINES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
TABLES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
ENDINGS = (*TABLES, *LINES)

Pick = Callable[[list[str]], list[str]]  # from the columns of a file to those wanted


class Files(NamedTuple):
    """The two files of a folder."""

    interactions: Path
    items: Path | None


def find_files(folder: str | Path) -> Files:
    """`interactions.*` and `items.*`, or reviews beside their `meta_*` as Amazon's are called.

    Raises:
        DataError: No such folder, no interactions in it, or more than one file that could be them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r}. Give the one that holds the shop's files.")
    known = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ENDINGS))
    items = [path for path in known if _stem(path) == "items" or _stem(path).startswith("meta_")]
    logs = [path for path in known if _stem(path) == "interactions"]
    logs = logs or [path for path in known if path not in items and _stem(path) != "users"]
    for what, paths in (("interactions", logs), ("items", items)):
        if len(paths) > 1:
            raise DataError(
                f"{str(folder)!r} has {len(paths)} files that could be the {what}: "
                f"{listed([path.name for path in paths])}. Keep one of them there."
            )
    if not logs:
        raise DataError(
            f"{str(folder)!r} holds no interactions; it has "
            f"{listed(sorted(path.name for path in folder.iterdir())) or 'no files'}. Looked for interactions.* or one "
            f"file of reviews, ending in {', '.join(ENDINGS)}."
        )
    return Files(logs[0], items[0] if items else None)


def open_table(path: Path, what: str, pick: Pick) -> pd.DataFrame:
    """The picked columns of a file; cells of CSV are text, those of JSON lines what they are there.

    Raises:
        DataError: The file cannot be read, or a line of it is no JSON object.
    """
    name = path.name.lower()
    if name.endswith(LINES):
        return _lines(path, pick)
    if name.endswith(".parquet"):
        frame = read_frame(path, what)
        return frame[pick(list(frame))]
    separator = "\t" if ".tsv" in name else ","
    try:
        wanted = pick(list(pd.read_csv(path, sep=separator, nrows=0)))
        return pd.read_csv(path, sep=separator, usecols=wanted, dtype=str)[wanted]  # as numbers, ids would lose zeros
    except (
        OSError,
        EOFError,
        zlib.error,
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
    ) as error:
        raise DataError(f"{what}: cannot read {str(path)!r}: {error}") from error


def _lines(path: Path, pick: Pick) -> pd.DataFrame:
    """One object a line; keys that nobody picked (the text of a review, say) are never kept."""
    wanted: dict[str, bool] = {}
    kept = []
    for row in _objects(path):
        new = [key for key in row if key not in wanted]
        if new:
            chosen = set(pick([*wanted, *new]))
            wanted |= {key: key in chosen for key in [*wanted, *new]}
        kept.append({key: value for key, value in row.items() if wanted[key]})
    if not kept:
        raise DataError(f"{str(path)!r} is empty.")
    return pd.DataFrame(kept).reindex(columns=pick(list(wanted)))


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(line, number, path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from error


def _object(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = _literal(line)  # Amazon's metadata of 2014 is written as Python literals
    if not isinstance(row, dict):
        raise DataError(
            f"{str(path)!r}, line {number}: expected one JSON object, got {line.strip()[:60]!r}. "
            "Give a file with one object a line."
        )
    return row


def _literal(line: str) -> Any:
    try:
        return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _stem(path: Path) -> str:
    name = path.name.lower()
    ending = max((end for end in ENDINGS if name.endswith(end)), key=len)
    return name.removesuffix(ending)
