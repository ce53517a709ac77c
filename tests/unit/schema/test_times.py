"""Tests of reading moments."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.schema import moment, read_times, span

DAY = 1_714_521_600  # 2024-05-01 00:00:00 UTC


def times(values: object, **options: object) -> list[int]:
    seconds, faults = read_times(pd.Series(values, name="timestamp"), what="log", **options)  # type: ignore[arg-type]
    assert not any(fault.mask.any() for fault in faults), [f.reason for f in faults if f.mask.any()]
    assert seconds.dtype == np.int64
    return seconds.tolist()


def faults_of(values: object, **options: object) -> dict[str, list[int]]:
    _, faults = read_times(pd.Series(values, name="timestamp"), what="log", **options)  # type: ignore[arg-type]
    return {fault.reason: np.flatnonzero(fault.mask).tolist() for fault in faults if fault.mask.any()}


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_count_the_unit_named(unit: str, scale: int) -> None:
    assert times([DAY * scale, (DAY + 1) * scale], unit=unit) == [DAY, DAY + 1]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_datetimes_of_any_resolution_are_read(unit: str) -> None:
    stamps = pd.Series(pd.to_datetime(["2024-05-01 00:00:00", "2024-05-01 00:00:01"])).dt.as_unit(unit)
    assert times(stamps) == [DAY, DAY + 1]


def test_naive_is_utc_while_aware_is_converted() -> None:
    naive = pd.Series(pd.to_datetime(["2024-05-01"]))
    assert times(naive) == [DAY]
    assert times(naive.dt.tz_localize("Europe/Berlin")) == [DAY - 7200]
    assert times(["2024-05-01T02:00:00+02:00", "2024-05-01"]) == [DAY, DAY]


def test_parts_of_a_second_are_cut_off_downwards() -> None:
    assert times([DAY + 0.9, DAY + 1.1]) == [DAY, DAY + 1]
    assert times([DAY * 1000 + 999], unit="ms") == [DAY]
    assert times(["2024-05-01 00:00:00.999"]) == [DAY]
    assert times(pd.to_datetime(["2024-05-01 00:00:00.999"])) == [DAY]


@pytest.mark.parametrize(
    "values",
    [
        ["2024-05-01", "2024-05-01 00:00:01"],
        ["20240501", "20240501T000001"],
        ["05/01/2024 00:00:00", "05/01/2024 00:00:01"],
        ["1 May 2024 00:00:00", "1 May 2024 00:00:01"],
        [str(DAY), str(DAY + 1)],
        [datetime.datetime(2024, 5, 1), datetime.datetime(2024, 5, 1, 0, 0, 1, tzinfo=datetime.UTC)],
        [decimal.Decimal(DAY), decimal.Decimal(DAY + 1)],
        pd.Series([DAY, DAY + 1], dtype="Int64"),
        pd.Series([DAY, DAY + 1], dtype="int64[pyarrow]"),
        pd.Series(pd.to_datetime([DAY, DAY + 1], unit="s")).astype("timestamp[us][pyarrow]"),
        pd.Series(["2024-05-01", "2024-05-01 00:00:01"], dtype="category"),
    ],
)
def test_what_pandas_parses_is_read(values: object) -> None:
    seconds = times(values)
    assert seconds[0] == DAY
    assert seconds[1] in (DAY, DAY + 1)


def test_dates_are_midnight_utc() -> None:
    assert times([datetime.date(2024, 5, 1), datetime.date(2024, 5, 2)]) == [DAY, DAY + 86_400]


def test_one_odd_value_does_not_spoil_the_rest() -> None:
    assert faults_of([DAY, "n/a", DAY]) == {"an unparsable timestamp": [1]}
    assert faults_of(["soon", "2024-05-01", "2024-05-02 10:00"]) == {"an unparsable timestamp": [0]}
    assert faults_of([str(DAY), "n/a", str(DAY)]) == {"an unparsable timestamp": [1]}
    assert faults_of([datetime.datetime(2024, 5, 1), 7, None, pd.Timestamp("2024-05-01")]) == {
        "an unparsable timestamp": [1],
        "a null timestamp": [2],
    }


@pytest.mark.parametrize("values", [[None, DAY], [np.nan, DAY], ["2024-05-01", None][::-1], [pd.NaT, pd.Timestamp(0)]])
def test_nulls_are_found(values: object) -> None:
    assert faults_of(values) == {"a null timestamp": [0]}
    assert faults_of(values, optional=True) == {}


def test_infinite_numbers_are_unparsable() -> None:
    assert faults_of([np.inf, 5.0]) == {"an unparsable timestamp": [0]}


def test_negative_and_far_future_moments_are_found() -> None:
    assert faults_of([-1, 0, 5]) == {"a negative timestamp (before 1970)": [0]}
    assert faults_of(["1969-12-31 23:59:59.9", "2250-01-01", "2024-05-01"]) == {
        "a negative timestamp (before 1970)": [0],
        "a timestamp after the year 2200": [1],
    }


@pytest.mark.parametrize(
    "now", [DAY, "2024-05-01", datetime.datetime(2024, 5, 1), pd.Timestamp(DAY, unit="s", tz="UTC")]
)
def test_moments_after_now_are_found_while_now_itself_passes(now: object) -> None:
    assert faults_of([DAY, DAY + 1], now=now) == {"a timestamp in the future of now=2024-05-01 00:00:00": [1]}


def test_the_seconds_of_a_bad_row_are_zero() -> None:
    seconds, _ = read_times(pd.Series([-5, DAY], name="timestamp"), what="log")
    assert seconds.tolist() == [0, DAY]


@pytest.mark.parametrize(
    ("given", "unit", "likely"), [(DAY * 1000, "s", "ms"), (DAY, "ms", "s"), (DAY * 10**9, "us", "ns")]
)
def test_numbers_in_another_unit_name_the_likely_one(given: int, unit: str, likely: str) -> None:
    with pytest.raises(
        DataError, match=rf"read in unit='{unit}'.*only makes sense as '{likely}'. Pass unit='{likely}'"
    ):
        times([given, given + 1], unit=unit)


def test_small_counters_pass_in_any_unit() -> None:
    assert times([0, 1000, 2000], unit="ms") == [0, 1, 2]


def test_columns_that_tell_no_time_are_refused() -> None:
    for values in ([True, False], pd.to_timedelta(["1D", "2D"])):
        with pytest.raises(DataError, match="tells no time"):
            times(values)


def test_a_moment_is_a_number_or_a_date() -> None:
    for value in (DAY, float(DAY) + 0.5, np.int32(DAY), str(DAY), "2024-05-01", datetime.date(2024, 5, 1)):
        assert moment(value, "as_of") == DAY
    assert moment(np.datetime64("2024-05-01"), "as_of") == DAY
    assert moment(pd.Timestamp("2024-05-01", tz="Asia/Tokyo"), "as_of") == DAY - 9 * 3600


@pytest.mark.parametrize("value", ["soon", None, True, np.nan, pd.NaT, [1]])
def test_what_is_no_moment_is_refused_by_name(value: object) -> None:
    with pytest.raises(DataError, match="as_of must be a date"):
        moment(value, "as_of")


def test_a_span_has_a_unit() -> None:
    for value in ("30min", datetime.timedelta(minutes=30), np.timedelta64(30, "m"), pd.Timedelta("30min")):
        assert span(value, "gap") == 1800


@pytest.mark.parametrize("value", ["30", "1.5", 30, "soon", "0min", "-1D", None, pd.NaT])
def test_what_is_no_span_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigError, match=r"gap must be a span of time with its unit, such as '30min'"):
        span(value, "gap")


@pytest.mark.parametrize("value", [DAY * 1000, float(DAY * 1000), np.int64(DAY * 10**6)])
def test_a_moment_in_another_unit_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"as_of is in seconds, and .* is after the year 2200\. Is it in ms"):
        moment(value, "as_of")


@pytest.mark.parametrize("kind", ["int64", "float64", "Int64"])
def test_dates_written_as_numbers_are_refused(kind: str) -> None:
    with pytest.raises(DataError, match=r"'timestamp' holds dates written as numbers, such as 20240501\. Convert"):
        read_times(pd.Series([20240501, 20231231], name="timestamp", dtype=kind), what="log")
    seconds, _ = read_times(pd.Series([20240501, 20241399], name="timestamp", dtype=kind), what="log")
    assert seconds.tolist() == [20240501, 20241399]
