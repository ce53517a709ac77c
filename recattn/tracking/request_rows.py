"""Rows of lists, as MLflow and Spark hand them over, as histories with their moments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Time
from recattn.errors import DataError

ITEMS, TIMES, EVENTS = "history_items", "history_times", "history_events"
AS_OF, CANDIDATES = "as_of", "candidates"


@dataclass(frozen=True)
class RequestRows:
    """n requests, one a row. All ids are text."""

    items: list[list[str]]  # n histories, from old to new
    times: list[list[int]]  # seconds UTC; the place in the history where only the order counts
    events: list[list[str | None]] | None
    candidates: list[list[str] | None]  # None: the catalog
    moments: np.ndarray  # int64 [n] seconds UTC

    def __len__(self) -> int:
        return len(self.items)


def read_rows(frame: pd.DataFrame, time: Time, latest: int) -> RequestRows:
    """Lists, arrays, or None for an empty one. A request without `as_of` is asked just after its history.

    `latest` is the moment of a request that has neither.

    Raises:
        DataError: No `history_items` column, a column of lists with something else in it, or lists of one history
            that differ in length.

    Warns:
        UserWarning: There are no times though the model knows times.
    """
    if ITEMS not in frame:
        raise DataError(
            f"model input has no column {ITEMS!r}; it has {list(frame.columns)}. One row is one request: "
            f"{ITEMS} (a list of ids, from old to new), and where known {TIMES}, {EVENTS}, {AS_OF}, {CANDIDATES}."
        )
    items = [_texts(row or []) for row in _lists(frame, ITEMS)]
    asked = frame[AS_OF].tolist() if AS_OF in frame else [None] * len(frame)
    given = [None if pd.isna(moment) else int(moment) for moment in asked]
    times = _times(items, _lists(frame, TIMES), given, time)
    events: list[list[str | None]] | None = None
    if EVENTS in frame:
        found = zip(items, _lists(frame, EVENTS), strict=True)
        events = [[_text(event) for event in ([None] * len(row) if one is None else one)] for row, one in found]
        _same_lengths(EVENTS, events, items)
    after = [max(row) + 1 if row else latest for row in times]
    moments = [end if moment is None else moment for moment, end in zip(given, after, strict=True)]
    candidates = [None if row is None else _texts(row) for row in _lists(frame, CANDIDATES)]
    return RequestRows(items, times, events, candidates, np.array(moments, dtype=np.int64))


def flat(rows: Sequence[Sequence[Any]]) -> tuple[list[Any], np.ndarray]:
    """The values of all rows one after another, and where each row begins and the last ends, int64 [rows + 1]."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return list(chain.from_iterable(rows)), offsets


def _times(
    items: Sequence[list[str]], given: Sequence[list[Any] | None], moments: Sequence[int | None], time: Time
) -> list[list[int]]:
    if time == "order":
        return [list(range(len(row))) for row in items]
    if any(row and one is None for row, one in zip(items, given, strict=True)):
        warnings.warn(
            f"{TIMES} is missing, but the model was trained on times: interactions count as a second apart. "
            "Give times for scores that reflect them.",
            stacklevel=4,
        )
    times: list[list[int]] = []
    for row, one, moment in zip(items, given, moments, strict=True):
        start = 0 if moment is None else moment - len(row)
        times.append(list(range(start, start + len(row))) if one is None else [int(t) for t in one])
    _same_lengths(TIMES, times, items)
    return times


def _lists(frame: pd.DataFrame, name: str) -> list[list[Any] | None]:
    """A column of lists, arrays or nulls as lists; None where there is none."""
    if name not in frame:
        return [None] * len(frame)
    found: list[list[Any] | None] = []
    for row, value in enumerate(frame[name].tolist()):
        if isinstance(value, np.ndarray):
            found.append(value.tolist())
        elif isinstance(value, (list, tuple, pd.Series)):
            found.append(list(value))
        elif value is None or value is pd.NA or value != value:  # NaN
            found.append(None)
        else:
            raise DataError(f"{name} must hold a list in every row, or nothing; row {row} has {value!r}.")
    return found


def _texts(values: Sequence[Any]) -> list[str]:
    return [str(value) for value in values]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _same_lengths(name: str, values: Sequence[Sequence[Any]], items: Sequence[list[str]]) -> None:
    for row, (one, history) in enumerate(zip(values, items, strict=True)):
        if len(one) != len(history):
            raise DataError(f"row {row} has {len(history)} {ITEMS} but {len(one)} {name}; they go in pairs.")
