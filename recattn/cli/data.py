"""Files a command reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recattn.cli.console import log
from recattn.cli.settings import Columns
from recattn.config import Time
from recattn.dataset import HistoryStore
from recattn.dataset.store_files import is_store
from recattn.errors import DataError, listed
from recattn.schema import read_frame, read_interactions, read_requests
from recattn.schema.columns import ITEM, REQUEST, USER
from recattn.schema.ids import id_kind
from recattn.schema.names import rename
from recattn.schema.times import Unit

Log = pd.DataFrame | HistoryStore


def read_log(path: str, columns: Columns, *, unit: Unit = "s", time: Time = "timestamp") -> Log:
    """Interactions: a history store as it is, a CSV or Parquet file (or folder) as a canonical frame."""
    if is_store(path):
        return HistoryStore.open(path)
    return read_interactions(path, columns=columns.mapping(), unit=unit, time=time)


def read_log_frame(path: str, columns: Columns, *, unit: Unit = "s", time: Time = "timestamp") -> pd.DataFrame:
    """`read_log` as a canonical frame, for what must be cut; DataError where a store has another kind of time."""
    found = read_log(path, columns, unit=unit, time=time)
    if isinstance(found, pd.DataFrame):
        return found
    if found.time != time:
        raise DataError(f"the store {path} has time={found.time!r}, but model.time is {time!r}. Make them one.")
    return found.to_frame()


def read_given(path: str | None, what: str, columns: Columns) -> pd.DataFrame | None:
    """`read_table` of a file that need not be given."""
    return None if path is None else read_table(path, what, columns)


def read_table(path: str, what: str, columns: Columns) -> pd.DataFrame:
    """Another file under our names: of `columns`, those it has; DataError where it has both names of one."""
    frame = read_frame(path, what)
    return rename(frame, {name: theirs for name, theirs in columns.mapping().items() if theirs in frame}, what)


def is_path(text: str) -> bool:
    """Whether the text means a file rather than ids."""
    return Path(text).exists() or Path(text).suffix.lower() in (".csv", ".parquet", ".tsv")


def read_who(
    users: str | Sequence[Any] | None, history: Log, columns: Columns, *, unit: Unit, time: Time
) -> list[Any] | pd.DataFrame | None:
    """Whom to ask about: None (all), a file of requests as a frame, or ids (`a,b`) in the type the history has."""
    if users is None:
        return None
    if isinstance(users, str) and is_path(users):
        frame = read_table(users, "users", columns)
        named = REQUEST in frame
        requests = read_requests(frame, unit=unit, time=time)
        return requests if named else requests.drop(columns=REQUEST)
    known = pd.Series(history.users) if isinstance(history, HistoryStore) else history[USER]
    return as_ids(users, known, "users")


def as_ids(given: str | Sequence[Any], known: pd.Series, what: str) -> list[Any]:
    """Ids typed on a command line (`a,b`) or in YAML, in the type of the ids `known`; DataError where they cannot."""
    texts = [text.strip() for text in given.split(",")] if isinstance(given, str) else list(given)
    kind = id_kind(known)
    try:
        if kind == "int":
            return [int(text) for text in texts]
        if kind == "float":
            return [float(text) for text in texts]
    except (TypeError, ValueError):
        raise DataError(f"{what}: the ids there are numbers, such as {known.iloc[0]}, got {listed(texts)}.") from None
    return [str(text) for text in texts] if kind == "str" else texts


def describe(found: Log, what: str) -> None:
    """One line on what was read."""
    if isinstance(found, HistoryStore):
        rows, users, items = len(found), len(found.users), len(found.item_vocabulary)
    else:
        rows, users, items = len(found), found[USER].nunique(), found[ITEM].nunique()
    log.info("%s: %s interactions of %s users with %s items", what, f"{rows:,}", f"{users:,}", f"{items:,}")
