"""From a DataFrame, a file, or a folder of files to one DataFrame."""

from __future__ import annotations

import zlib
from pathlib import Path

import pandas as pd

from recattn.errors import DataError, listed

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_LAZY_COPIES = int(pd.__version__.split(".")[0]) >= 3


def own_copy(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose later changes do not reach the one given (pandas 3 copies on write; older ones copy
    here).
    """
    return frame.copy(deep=not _LAZY_COPIES)


def read_frame(data: pd.DataFrame | str | Path, what: str) -> pd.DataFrame:
    """The data as one DataFrame; a DataFrame comes back as it is.

    A path is a CSV or TSV file (also `.gz`), a Parquet file, or a folder of such files of one kind (also in
    subfolders), read in the order of their names; names that start with `.` or `_` are passed over, and
    subfolders named `key=value` become columns of text. All parts must have the same columns.

    Raises:
        DataError: Neither a DataFrame nor a path, no such file, an unknown kind of file, an empty folder,
            parts that differ, or a file that cannot be read; `what` (such as "interactions") opens the
            message.
    """
    if isinstance(data, pd.DataFrame):
        return data
    if not isinstance(data, (str, Path)):
        raise DataError(f"{what} must be a pandas DataFrame or a path, got {type(data).__name__}.")
    paths = part_paths(data, what)
    return _read_folder(Path(data), paths, what) if Path(data).is_dir() else _read_file(paths[0], what)


def _is_known(path: Path) -> bool:
    return path.name.lower().endswith(_CSV + _PARQUET)


def _read_file(path: Path, what: str) -> pd.DataFrame:
    name = path.name.lower()
    try:
        if is_parquet(path):
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if ".tsv" in name[-7:] else ",", low_memory=False)
    except pd.errors.EmptyDataError:
        raise DataError(f"{what}: the file {str(path)!r} is empty.") from None
    except (OSError, ValueError, EOFError, zlib.error) as error:  # pyarrow's and pandas' parser errors are ValueErrors
        raise DataError(f"{what}: cannot read {str(path)!r}: {error}") from error


def part_paths(data: str | Path, what: str) -> list[Path]:
    """The files that `read_frame` would read of a path, in its order: all Parquet, or all CSV.

    Raises:
        DataError: No such file, an unknown kind of file, an empty folder, or one of both kinds.
    """
    path = Path(data)
    if path.is_dir():
        return _parts_of(path, what)
    if not path.exists():
        raise DataError(f"{what}: no file or folder {str(path)!r} (looked from {str(Path.cwd())!r}).")
    if not _is_known(path):
        raise DataError(
            f"{what}: cannot tell what {str(path)!r} is by its ending. It must be one of "
            f"{', '.join(_PARQUET + _CSV)}, or a folder of such files."
        )
    return [path]


def is_parquet(path: Path) -> bool:
    """Whether the file's ending is one of Parquet's."""
    return path.name.lower().endswith(_PARQUET)


def folder_keys(below: Path) -> dict[str, str]:
    """What the subfolders named `key=value` on the way to a file say."""
    return dict(folder.split("=", 1) for folder in below.parts[:-1] if "=" in folder)


def _parts_of(folder: Path, what: str) -> list[Path]:
    inside = [(path, path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    visible = [path for path, below in inside if not any(part.startswith((".", "_")) for part in below.parts)]
    paths = [path for path in visible if _is_known(path)]
    if not paths:
        found = f"it has {listed([path.name for path in visible])}" if visible else "it is empty"
        raise DataError(f"{what}: the folder {str(folder)!r} holds no Parquet or CSV file; {found}.")
    kinds = {"Parquet" if is_parquet(path) else "CSV" for path in paths}
    if len(kinds) > 1:
        raise DataError(f"{what}: the folder {str(folder)!r} mixes CSV and Parquet files. Keep one kind.")
    return paths


def _read_folder(folder: Path, paths: list[Path], what: str) -> pd.DataFrame:
    parts = [_with_keys(_read_file(path, what), path.relative_to(folder)) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if set(part.columns) != set(parts[0].columns):
            raise DataError(
                f"{what}: the parts of {str(folder)!r} differ: {paths[0].name!r} has columns "
                f"{listed(parts[0].columns, limit=12)}, {path.name!r} has {listed(part.columns, limit=12)}."
            )
    return pd.concat(parts, ignore_index=True)


def _with_keys(part: pd.DataFrame, below: Path) -> pd.DataFrame:
    return part.assign(**{key: value for key, value in folder_keys(below).items() if key not in part.columns})
