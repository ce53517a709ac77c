"""The other frames at the door: items, users, slates, requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recattn.config import Time
from recattn.errors import DataError
from recattn.schema import columns as c
from recattn.schema.ids import check_ids
from recattn.schema.interactions import check_time, in_order, read_numbers
from recattn.schema.names import rename, require
from recattn.schema.read import own_copy, read_frame
from recattn.schema.rows import Fault, first_rows, settle
from recattn.schema.times import Unit, read_times

Source = pd.DataFrame | str | Path


def read_items(data: Source, *, columns: Mapping[str, str] | None = None, unit: Unit = "s") -> pd.DataFrame:
    """One row an item: `item_id` (no nulls, none twice) first, then its attributes as they were.

    An `available_from` column (moments as in interactions, numbers in `unit`) becomes int64 seconds UTC; null
    is 0, always available. DataError for an unreadable file, a missing column, no row, null, mixed or
    repeated ids.
    """
    frame = _read(data, "items", [c.ITEM], columns)
    frame = _unique(frame, c.ITEM, "items")
    if c.AVAILABLE_FROM in frame.columns:
        seconds, faults = read_times(frame[c.AVAILABLE_FROM], what="items", unit=unit, optional=True)
        settle("items", faults, "error", droppable=False)
        frame[c.AVAILABLE_FROM] = seconds
    return in_order(frame, [c.ITEM])


def read_users(data: Source, *, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row a user: `user_id` (no nulls, none twice) first, then the attributes as they were. Errors as in
    items.
    """
    return in_order(_unique(_read(data, "users", [c.USER], columns), c.USER, "users"), [c.USER])


def read_slate(
    data: Source, *, columns: Mapping[str, str] | None = None, unit: Unit = "s", time: Time = "timestamp"
) -> pd.DataFrame:
    """Candidates to score, one row each, in the order given, index 0..M-1.

    Columns: `user_id`, `item_id`, where given `request_id`, `timestamp` (the request's as_of, int64 seconds
    UTC; left out for `time="order"`, which has no moments) and `label` (float32), then all other columns as
    they were. A slate may have no row. Unknown users and items pass: they are the scorer's to answer.

    Raises:
        DataError: Unreadable file, missing column, null or mixed ids, bad timestamps, or a request whose
            rows differ in user or timestamp.
    """
    frame = _moments(_read(data, "slate", [c.USER, c.ITEM], columns, empty=True), "slate", unit, time)
    if c.LABEL in frame.columns:
        frame[c.LABEL], fault = read_numbers(frame[c.LABEL])
        settle("slate", [fault], "error", droppable=False)
    if c.REQUEST in frame.columns:
        frame[c.REQUEST] = check_ids(frame[c.REQUEST], c.REQUEST, "slate")
        _same_within_request(frame, "slate")
    return in_order(frame, [c.REQUEST, c.USER, c.ITEM, c.TIME, c.LABEL])


def read_requests(
    data: Source, *, columns: Mapping[str, str] | None = None, unit: Unit = "s", time: Time = "timestamp"
) -> pd.DataFrame:
    """Requests, one row each, in the order given, index 0..X-1.

    Columns: `request_id` (0..X-1 where the frame has none), `user_id`, where given `timestamp` (as_of, int64
    seconds UTC; left out for `time="order"`) and `position` (int64, rows of the user's log before the
    request), then context columns as they were. The frame may have no row.

    Raises:
        DataError: Unreadable file, missing column, null, mixed or repeated request ids, null or mixed
            user ids, bad timestamps, or a position that is no whole number >= 0.
    """
    frame = _moments(_read(data, "requests", [c.USER], columns, empty=True), "requests", unit, time)
    if c.REQUEST in frame.columns:
        frame = _unique(frame, c.REQUEST, "requests")
    else:
        frame[c.REQUEST] = np.arange(len(frame), dtype=np.int64)
    if c.POSITION in frame.columns:
        given = frame[c.POSITION]
        numbers = pd.to_numeric(given, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~(numbers >= 0) | (numbers != np.floor(numbers))
        settle(
            "requests",
            [Fault("a position that is no whole number >= 0", bad, given)],
            "error",
            droppable=False,
        )
        frame[c.POSITION] = numbers.astype(np.int64)
    return in_order(frame, [c.REQUEST, c.USER, c.TIME, c.POSITION])


def _read(
    data: Source, what: str, wanted: Sequence[str], columns: Mapping[str, str] | None, *, empty: bool = False
) -> pd.DataFrame:
    frame = rename(own_copy(read_frame(data, what)), columns, what)
    require(frame, wanted, what)
    frame = frame.reset_index(drop=True)
    if frame.empty and not empty:
        raise DataError(f"{what} is empty: it has no row.")
    for column in wanted:
        frame[column] = check_ids(frame[column], column, what)
    return frame


def _moments(frame: pd.DataFrame, what: str, unit: Unit, time: Time) -> pd.DataFrame:
    check_time(time)
    if c.TIME not in frame.columns:
        return frame
    if time == "order":
        return frame.drop(columns=c.TIME)
    seconds, faults = read_times(frame[c.TIME], what=what, unit=unit)
    settle(what, faults, "error", droppable=False)
    return frame.assign(**{c.TIME: seconds})


def _unique(frame: pd.DataFrame, column: str, what: str) -> pd.DataFrame:
    frame[column] = check_ids(frame[column], column, what)
    twice = frame[column].duplicated().to_numpy()
    if twice.any():
        raise DataError(
            f"{what} has {int(twice.sum()):,} rows that repeat the {column} of an earlier one "
            f"({first_rows(twice, frame[column])}). "
            f"Keep one row each, for instance by .drop_duplicates({column!r})."
        )
    return frame


def _same_within_request(frame: pd.DataFrame, what: str) -> None:
    codes, uniques = pd.factorize(frame[c.REQUEST])
    first = np.empty(len(uniques), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    for column in (c.USER, c.TIME):
        if column in frame.columns:
            values = pd.factorize(frame[column])[0]
            differs = values != values[first[codes]]
            if differs.any():
                raise DataError(
                    f"{what}: every {c.REQUEST} must have one {column}, but {int(differs.sum()):,} rows "
                    f"differ from the first row of their request ({first_rows(differs, frame[c.REQUEST])})."
                )
