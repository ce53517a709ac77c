"""Files a command writes: whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from recattn.cli.console import at_terminal, log, show_table
from recattn.errors import ArtifactError, ConfigError, nearest

SUFFIXES = (".csv", ".parquet")
SHOWN = 20


def check_file(path: str | None, *, overwrite: bool) -> Path | None:
    """The file a command will write; checked before its work begins. None stays None.

    Raises:
        ConfigError: A suffix that is neither .csv nor .parquet.
        ArtifactError: There is such a file and `overwrite` is false, or no folder for it.
    """
    if path is None:
        return None
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES:
        hint = nearest(file.suffix, SUFFIXES)
        raise ConfigError(f"cannot tell how to write {path!r} by its ending. It must be .csv or .parquet.{hint}")
    if file.is_dir():
        raise ArtifactError(f"{path} is a folder. Name a file.")
    return check_place(file, overwrite=overwrite)


def check_place(path: str | Path, *, overwrite: bool) -> Path:
    """The file or folder a command will write; ArtifactError where it exists already or has no place to be."""
    place = Path(path)
    if place.exists() and not overwrite:
        raise ArtifactError(f"{path} already exists. Pass --overwrite to replace it, or name another.")
    parent = place.absolute().parent
    if not parent.is_dir():
        raise ArtifactError(f"{path} cannot be written: there is no folder {parent}. Make it first.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ArtifactError(f"{path} cannot be written: no permission to write in {parent}.")
    return place


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet by the suffix, under a hidden name first: no half-written file has the final one.

    Raises:
        ArtifactError: The disk refuses, or Parquet cannot hold the values.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.suffix.lower() == ".csv":
            frame.to_csv(partial, index=False)
        else:
            frame.to_parquet(partial, index=False)
        partial.replace(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"{path} could not be written: {reason}. Nothing was left there.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def deliver(frame: pd.DataFrame, path: Path | None, what: str, shown: Sequence[str] | None = None) -> None:
    """A result to its file, else to stdout: its first rows at a terminal, CSV for a pipe.

    `shown`: the columns to show at a terminal.
    """
    if path is not None:
        write_table(frame, path)
        log.info("%s %s in %s", f"{len(frame):,}", what, path)
    elif at_terminal():
        show_table(frame.head(SHOWN)[list(shown) if shown else list(frame)])
        if len(frame) > SHOWN:
            log.info("the first %s of %s %s; --out FILE keeps all", SHOWN, f"{len(frame):,}", what)
    else:
        frame.to_csv(sys.stdout, index=False)
