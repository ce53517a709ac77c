"""Moments: anything that tells a time becomes whole seconds UTC."""

from __future__ import annotations

import datetime
import math
import numbers
import re
import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from recattn.errors import ConfigError, DataError, nearest
from recattn.schema.ids import unwrap
from recattn.schema.rows import Fault, as_mask

Unit = Literal["s", "ms", "us", "ns"]
Int64s = npt.NDArray[np.int64]

SCALES: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EARLIEST_LIKELY = 631_152_000  # 1990-01-01
_LATEST = 7_258_118_400  # 2200-01-01
_DIGITS = re.compile(r"\d{9,11}|\d{13}|\d{16}|\d{19}")  # what is too long for a year and no compact date


def check_unit(unit: str) -> None:
    """ConfigError unless `unit` is one of s, ms, us, ns."""
    if unit not in SCALES:
        raise ConfigError(f"unit must be one of {', '.join(SCALES)}, got {unit!r}.{nearest(str(unit), SCALES)}")


def moment(value: Any, name: str) -> int:
    """One moment in seconds UTC: a number of seconds, or anything `pandas.Timestamp` takes (naive = UTC).

    Fractions of a second are cut off downwards. DataError, naming `name`, for what is no moment or a number of
    seconds after the year 2200.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole or (isinstance(value, (float, np.floating)) and math.isfinite(value)):
        if value >= _LATEST:
            raise DataError(f"{name} is in seconds, and {value!r} is after the year 2200. Is it in ms, us or ns?")
        return math.floor(value)
    try:
        stamp: Any = pd.NaT if isinstance(value, (numbers.Real, np.bool_)) else pd.Timestamp(value)
    except (TypeError, ValueError):
        stamp = pd.NaT
    if pd.isna(stamp):
        raise DataError(f"{name} must be a date, such as '2024-05-01', or a number of seconds; got {value!r}.")
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return math.floor(stamp.timestamp())


def span(value: Any, name: str) -> float:
    """A span of time in seconds: text with its unit, such as `"30min"` or `"7D"`, or any timedelta.

    ConfigError, naming `name`, for what is no span, is not positive, or is a bare number (of what?).
    """
    known = isinstance(value, (str, datetime.timedelta, np.timedelta64))
    bare = isinstance(value, str) and value.strip().replace(".", "", 1).isdigit()
    try:
        seconds = pd.Timedelta(value).total_seconds() if known and not bare else 0.0
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ConfigError(f"{name} must be a span of time with its unit, such as '30min' or '7D', got {value!r}.")
    return seconds


def read_times(
    series: pd.Series, *, what: str, unit: Unit = "s", now: Any = None, optional: bool = False
) -> tuple[Int64s, list[Fault]]:
    """A column of moments as int64 [rows] seconds UTC, with what is wrong in it.

    Numbers count `unit`s since 1970; naive datetimes and texts are UTC; fractions of a second are cut off
    downwards. The seconds of a row at fault are 0. Faults: null (unless `optional`), unparsable, before 1970,
    after the year 2200, and after `now` where it is given.

    Raises:
        DataError: The column holds no times at all, or its numbers only make sense in another unit or as dates.
    """
    check_unit(unit)
    null = as_mask(series.isna())
    original, series = series, unwrap(series)
    plain = _parse(series, what)
    if pd.api.types.is_datetime64_any_dtype(plain.dtype):
        unreadable = as_mask(plain.isna()) & ~null
        seconds = np.where(plain.isna(), 0, _datetime_seconds(plain))
    else:
        unreadable, seconds = _number_seconds(plain, null, unit, what)
    good = ~null & ~unreadable
    negative, late = good & (seconds < 0), good & (seconds >= _LATEST)
    faults = [
        Fault(f"a null {series.name}", null & (not optional)),
        Fault(f"an unparsable {series.name}", unreadable, original),
        Fault(f"a negative {series.name} (before 1970)", negative, original),
        Fault(f"a {series.name} after the year 2200", late, original),
    ]
    if now is not None:
        limit = moment(now, "now")
        day = pd.Timestamp(limit, unit="s").isoformat(sep=" ")
        faults.append(Fault(f"a {series.name} in the future of now={day}", good & ~late & (seconds > limit), original))
    return np.where(good & ~negative & ~late, seconds, 0).astype(np.int64), faults


def read_sort_key(series: pd.Series, *, what: str) -> tuple[npt.NDArray[Any], list[Fault]]:
    """A column that only orders rows, as sortable numbers [rows]: numbers as they are, other times at full
    resolution.
    """
    null = as_mask(series.isna())
    plain = _parse(unwrap(series), what)
    if pd.api.types.is_datetime64_any_dtype(plain.dtype):
        key = plain.dt.as_unit("ns").to_numpy(dtype="datetime64[ns]").view(np.int64)
    elif pd.api.types.is_integer_dtype(plain.dtype) and not null.any():
        key = plain.to_numpy()
    else:
        key = plain.to_numpy(dtype=np.float64, na_value=np.nan)
    unreadable = as_mask(plain.isna()) & ~null
    return key, [
        Fault(f"a null {series.name}", null),
        Fault(f"an unparsable {series.name}", unreadable, series),
    ]


def _parse(series: pd.Series, what: str) -> pd.Series:
    """The column as numbers or datetimes; NaN or NaT where a value is neither."""
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype) or not (
        pd.api.types.is_numeric_dtype(dtype)
        or pd.api.types.is_datetime64_any_dtype(dtype)
        or pd.api.types.is_object_dtype(dtype)
        or isinstance(dtype, pd.StringDtype)
    ):
        raise DataError(f"{what}: column {series.name!r} holds {dtype}, which tells no time.")
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype):
        return series
    sample = series[series.notna()].head(100).tolist()
    if sum(_is_number(value) for value in sample) * 2 > len(sample):
        return pd.to_numeric(series, errors="coerce")
    if pd.api.types.is_object_dtype(dtype) and set(map(type, series)) != {str}:
        series = series.where(series.map(lambda v: isinstance(v, (str, datetime.date, np.datetime64))), None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = pd.to_datetime(series, utc=True, errors="coerce", format="ISO8601")
        rest = parsed.isna() & series.notna()
        if rest.any():
            parsed = parsed.where(~rest, pd.to_datetime(series.where(rest), utc=True, errors="coerce"))
    return parsed


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _DIGITS.fullmatch(value) is not None
    return isinstance(value, numbers.Number)


def _datetime_seconds(series: pd.Series) -> Int64s:
    naive = series.dt.tz_convert("UTC").dt.tz_localize(None) if series.dt.tz is not None else series
    return naive.dt.as_unit("s").to_numpy(dtype="datetime64[s]").view(np.int64)


def _number_seconds(
    series: pd.Series, null: npt.NDArray[np.bool_], unit: Unit, what: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
    integer = pd.api.types.is_integer_dtype(series.dtype)
    values = series.to_numpy(dtype=np.int64, na_value=0) if integer else series.to_numpy(np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    good = finite & ~null
    if good.any():
        _check_scale(float(np.median(values[good])), unit, what, series.name)
        _check_no_dates(values[good], what, series.name)
    seconds = np.floor_divide(np.where(good, values, 0), SCALES[unit])
    return ~finite & ~null, seconds


def _check_scale(middle: float, unit: Unit, what: str, column: Any) -> None:
    likely = next((u for u, scale in SCALES.items() if _EARLIEST_LIKELY <= middle / scale < _LATEST), None)
    if likely in (None, unit):
        return
    raise DataError(
        f"{what}: column {column!r} is read in unit={unit!r}, but its middle value {middle:.0f} only "
        f"makes sense as {likely!r}. Pass unit={likely!r}."
    )


def _check_no_dates(values: npt.NDArray[Any], what: str, column: Any) -> None:
    """DataError where all numbers read as dates (20240501): as seconds they would lie in a few weeks of 1970."""
    month, day = values // 100 % 100, values % 100
    dates = (values >= 1900_01_01) & (values <= 2199_12_31) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    if dates.all():
        raise DataError(
            f"{what}: column {column!r} holds dates written as numbers, such as {values[0]:.0f}. "
            f"Convert it with pd.to_datetime(frame[{column!r}], format='%Y%m%d')."
        )
