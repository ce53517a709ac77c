"""Finding a frame's columns by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from recattn.errors import DataError, listed, nearest
from recattn.schema import columns as c

_SYNONYMS = {
    c.USER: (
        "user",
        "userid",
        "uid",
        "customer",
        "customerid",
        "client",
        "visitor",
        "visitorid",
        "member",
        "u",
    ),
    c.ITEM: (
        "item",
        "itemid",
        "iid",
        "product",
        "productid",
        "movie",
        "movieid",
        "article",
        "articleid",
        "sku",
        "i",
    ),
    c.TIME: ("ts", "time", "datetime", "date", "unixtime", "eventtime", "createdat", "when", "t"),
    c.EVENT: ("event", "eventtype", "behavior", "behaviour", "action", "type"),
    c.WEIGHT: ("rating", "score", "stars", "value"),
    c.REQUEST: ("request", "requestid", "impression", "impressionid", "query", "queryid"),
}


def guess(wanted: str, existing: Sequence[str]) -> str | None:
    """The existing column that most likely is `wanted` under another name, or None."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(existing)}
    for synonym in (wanted.replace("_", ""), *_SYNONYMS.get(wanted, ())):
        if synonym in plain:
            return plain[synonym]
    others = [name for name in existing if name not in _SYNONYMS]
    return next(iter(difflib.get_close_matches(wanted, others, n=1)), None)


def missing_column(what: str, wanted: str, frame: pd.DataFrame) -> DataError:
    """The error for a frame without the column `wanted`; it names the nearest."""
    if wanted in frame.index.names:
        return DataError(f"{what} has {wanted!r} as its index, not as a column. Call reset_index() first.")
    names = [str(name) for name in frame.columns]
    has = listed(names, limit=12) if names else "no columns"
    theirs = guess(wanted, names)
    remedy = (
        f"Rename it, or pass columns={{{wanted!r}: {theirs!r}}}."
        if theirs is not None
        else f"Rename the one that holds it, or pass columns={{{wanted!r}: <its name>}}."
    )
    return DataError(f"{what} has no column {wanted!r}; it has {has}. {remedy}")


def rename(frame: pd.DataFrame, columns: Mapping[str, str] | None, what: str) -> pd.DataFrame:
    """The frame under our names. `columns` maps our name to theirs: `{'timestamp': 'ts'}`.

    Raises:
        DataError: A name given is not in the frame, two columns would share a name, the frame has one name
            twice, or its columns have several levels.
    """
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            f"{what} has columns in {frame.columns.nlevels} levels, such as {frame.columns[0]!r}. Give it one, "
            "for instance with frame.columns = frame.columns.get_level_values(0)."
        )
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{what} has two columns named {twice[0]!r}. Rename or drop one.")
    if not columns:
        return frame
    if not isinstance(columns, Mapping):
        raise DataError(f"columns must map our name to yours, as {{'timestamp': 'ts'}}; got {columns!r}.")
    for ours, theirs in columns.items():
        if theirs not in frame.columns:
            names = [str(name) for name in frame.columns]
            raise DataError(
                f"{what} has no column {theirs!r}, which columns={{{ours!r}: {theirs!r}}} asks for; "
                f"it has {listed(names, limit=12)}.{nearest(theirs, names)}"
            )
        if ours != theirs and ours in frame.columns and ours not in columns.values():
            raise DataError(
                f"{what} has a column {ours!r} already, and columns= asks to take {theirs!r} for it. Drop one of them."
            )
    if len(set(columns.values())) < len(columns):
        raise DataError(f"columns={dict(columns)!r} gives one column two names.")
    return frame.rename(columns={theirs: ours for ours, theirs in columns.items()})


def require(frame: pd.DataFrame, wanted: Sequence[str], what: str) -> None:
    """DataError that names the nearest column, for the first of `wanted` the frame lacks."""
    for column in wanted:
        if column not in frame.columns:
            raise missing_column(what, column, frame)
