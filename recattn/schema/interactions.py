"""The interaction log at the door: from anybody's frame to the canonical one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recattn.config import Time
from recattn.errors import ConfigError, DataError
from recattn.schema import columns as c
from recattn.schema.ids import check_kind, unwrap
from recattn.schema.list_columns import explode_frame
from recattn.schema.names import rename, require
from recattn.schema.read import own_copy, read_frame
from recattn.schema.rows import BadRowPolicy, Fault, Mask, check_policy, null_fault, settle
from recattn.schema.times import Int64s, Unit, read_sort_key, read_times

WHAT = "interactions"


def check_time(time: str) -> None:
    """ConfigError unless `time` is `timestamp` or `order`."""
    if time not in ("timestamp", "order"):
        raise ConfigError(f"time must be 'timestamp' or 'order', got {time!r}.")


def read_interactions(
    data: pd.DataFrame | str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
    time: Time = "timestamp",
    now: Any = None,
    bad_rows: BadRowPolicy = "error",
) -> pd.DataFrame:
    """The canonical interaction frame: what every inner room may take for granted.

    Columns: `user_id`, `item_id` (plain dtypes, no nulls, one kind each), `timestamp` int64, `event_type` (text) and
    `weight` (float32) where given, both of which may be null, then all other columns as they were. Rows keep their
    order; the index is 0..R-1. A canonical frame passes unchanged, and the frame given is never changed. Where
    `item_id` and `timestamp` hold lists (one row a user), all list columns are taken apart side by side.

    Args:
        data: A DataFrame, or a path to CSV or Parquet (see `read_frame`).
        columns: Our name to yours, `{'timestamp': 'ts'}`. A column `rating` is taken for `weight` where
            there is none.
        unit: What numbers in `timestamp` count: s, ms, us or ns since 1970.
        time: `timestamp`: seconds UTC; naive datetimes and texts are UTC, fractions of a second are cut off.
            `order`: only the order within a user counts. The timestamp then holds 0, 1, ... within each
                user, by the
            given `timestamp` column where there is one (ties in row order), else by row order.
        now: Rows later than this moment (seconds, or anything pandas parses) are bad rows.
        bad_rows: What to do with rows that have null ids, null, unparsable, negative or future
            timestamps, or a weight that is no number: `error`, or `drop` with a DataWarning. Both count them
            and show the first.

    Raises:
        DataError: Unreadable file, missing column, no row, ids of mixed kinds, bad rows, or the wrong unit.
        ConfigError: An impossible value for `unit`, `time` or `bad_rows`.
    """
    check_time(time)
    check_policy(bad_rows)
    given = own_copy(read_frame(data, WHAT))
    frame, faults = check_rows(given, columns=columns, unit=unit, time=time, now=now)
    if frame.empty:
        raise DataError(f"{WHAT} is empty: it has no row.")
    frame = keep_rows(frame, settle(WHAT, faults, bad_rows))
    if time == "order":
        frame[c.TIME] = places(frame[c.USER], frame[c.TIME].to_numpy())
    return frame


def check_rows(
    frame: pd.DataFrame, *, columns: Mapping[str, str] | None, unit: Unit, time: Time, now: Any
) -> tuple[pd.DataFrame, list[Fault]]:
    """The frame under our names, one row an interaction, with what is wrong in it; arguments as in `read_interactions`.

    Its `timestamp` holds seconds, for `time="order"` numbers that order a user's rows (all 0 where there is no such
    column). The columns of the frame given may be replaced, its values are not. It may be a piece of a log.
    """
    frame = rename(frame, columns, WHAT)
    if c.WEIGHT not in frame.columns and "rating" in frame.columns:
        frame = frame.rename(columns={"rating": c.WEIGHT})
    require(frame, [c.USER, c.ITEM, *([c.TIME] if time == "timestamp" else [])], WHAT)
    frame = explode_frame(frame, [name for name in (c.ITEM, c.TIME) if name in frame.columns], WHAT).reset_index(
        drop=True
    )
    faults: list[Fault] = []
    for column in (c.USER, c.ITEM):
        frame[column] = unwrap(frame[column])
        check_kind(frame[column], column, WHAT)
        faults.append(null_fault(frame[column], column))
    moments: npt.NDArray[Any] = np.zeros(len(frame), np.int64)
    if time == "timestamp":
        moments, found = read_times(frame[c.TIME], what=WHAT, unit=unit, now=now)
        faults += found
    elif c.TIME in frame.columns:
        moments, found = read_sort_key(frame[c.TIME], what=WHAT)
        faults += found
    frame[c.TIME] = moments
    if c.WEIGHT in frame.columns:
        frame[c.WEIGHT], fault = read_numbers(frame[c.WEIGHT], optional=True)
        faults.append(fault)
    return frame, faults


def keep_rows(frame: pd.DataFrame, keep: Mask | None) -> pd.DataFrame:
    """The rows of a checked frame that are kept (None: all), in canonical types."""
    if keep is not None:
        frame = frame.loc[keep].reset_index(drop=True)
        frame[c.USER], frame[c.ITEM] = unwrap(frame[c.USER]), unwrap(frame[c.ITEM])
    if c.EVENT in frame.columns:
        frame[c.EVENT] = _as_text(frame[c.EVENT])
    return in_order(frame, [c.USER, c.ITEM, c.TIME, c.EVENT, c.WEIGHT])


def read_numbers(series: pd.Series, *, optional: bool = False) -> tuple[npt.NDArray[np.float32], Fault]:
    """A column as float32 [rows], with the rows that are no finite number; an `optional` one may be null."""
    plain = unwrap(series)
    numbers = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan)
    wrong = ~np.isfinite(numbers)
    if optional:
        wrong &= plain.notna().to_numpy()
    return numbers, Fault(f"a {series.name} that is no number", wrong, plain)


def places(users: pd.Series, key: npt.NDArray[Any]) -> Int64s:
    """The place of every row in its user's log, 0 first, by `key` then row order. int64 [rows]."""
    codes = pd.factorize(users)[0]
    order = np.lexsort((key, codes))
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    result = np.empty(len(codes), np.int64)
    result[order] = np.arange(len(codes)) - starts[codes[order]]
    return result


def in_order(frame: pd.DataFrame, first: Sequence[str]) -> pd.DataFrame:
    """The frame with the columns `first` (those it has) before all others."""
    known = [column for column in first if column in frame.columns]
    names = known + [column for column in frame.columns if column not in known]
    return frame if list(frame.columns) == names else frame[names]


def _as_text(series: pd.Series) -> pd.Series:
    codes, kinds = pd.factorize(unwrap(series))
    texts = [str(int(kind)) if isinstance(kind, float) and kind.is_integer() else str(kind) for kind in kinds]
    values = np.array([*texts, None], dtype=object)[codes]
    return pd.Series(values, index=series.index, name=series.name).infer_objects()
