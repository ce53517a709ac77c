"""Cells of a shop's files as plain values: moments, prices, categories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from recattn.errors import DataError, listed
from recattn.schema.times import SCALES, Unit

_FIRST, _LAST = 631_152_000, 7_258_118_400  # 1990 to 2200: a number lies there in one unit at most
_MARK = r"(?:[A-Za-z]{2,3}[$.]?|[^\w\s.,+-])?"  # a currency before or after the number
_ONE = rf"\s*{_MARK}\s*(\d[\d.,]*)\s*{_MARK}\s*"
_RANGE = rf"{_ONE}(?:-|–|—|to){_ONE}|\s*from\b.*\d.*"
NO_VALUE = ("", "unknown", "n/a", "none", "null", "nan", "generic")


class Moments(NamedTuple):
    """A column of moments and the unit its numbers count; None: they are dates."""

    values: pd.Series
    unit: Unit | None


def read_moments(column: pd.Series, where: str) -> Moments:
    """Numbers (also as text) with their unit told by size; dates as they are.

    Raises:
        DataError: Numbers that count no time, or some in one unit and some in another.
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return Moments(column, None)
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() * 2 <= column.notna().sum():
        return Moments(column, None)  # texts of dates; the door of interactions parses them
    likely = {unit: (numbers / scale).between(_FIRST, _LAST) for unit, scale in SCALES.items()}
    used = {unit: int(rows.sum()) for unit, rows in likely.items() if rows.any()}
    if len(used) > 1:
        shown = " and ".join(f"{count:,} rows in {unit}" for unit, count in used.items())
        raise DataError(f"{where}: column {column.name!r} mixes units: {shown}. Bring them to one unit first.")
    unit: Unit | None = next(iter(used), None)  # type: ignore[arg-type]
    wrong = numbers.notna() if unit is None else numbers.notna() & ~likely[unit]
    if wrong.any():
        raise DataError(
            f"{where}: column {column.name!r} has {int(wrong.sum()):,} of {len(column):,} rows that count no time: "
            f"as s, ms, us or ns they lie outside 1990 to 2200 ({listed(numbers[wrong].head(3).tolist())}). Drop them, "
            "or name the column of the time with --columns '{timestamp: <its name>}'."
        )
    return Moments(numbers, unit)


class Prices(NamedTuple):
    """Prices with what was not taken for one."""

    values: np.ndarray  # float64 [n], NaN where missing
    ranges: int
    unreadable: list[str]  # the cells, such as 'call us'


def read_prices(column: pd.Series) -> Prices:
    """Numbers, or text such as `$1,299.00` or `12,99 €`. A range (`$5 - $9`, `from $5`) is no price: missing."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(np.float64, na_value=np.nan)
        return Prices(np.where(values >= 0, values, np.nan), 0, [str(one) for one in values[values < 0]])
    texts = column.where(column.isna(), column.astype(str).str.strip())
    texts = texts.mask(texts.str.lower().isin(NO_VALUE)).astype(object)
    ranges = texts.str.fullmatch(_RANGE, case=False, na=False).astype(bool)
    found = texts.mask(ranges).str.extract(f"^{_ONE}$")[0].map(_number, na_action="ignore").astype(np.float64)
    unreadable = texts.notna() & ~ranges & found.isna()
    return Prices(found.to_numpy(), int(ranges.sum()), texts[unreadable].tolist())


def _number(text: str) -> float:
    """`1,299.00`, `1.299,00`, `1,299` and `12,99` as people mean them."""
    at = max(text.rfind("."), text.rfind(","))
    head, mark, tail = text[:at], text[at : at + 1], text[at + 1 :]
    is_point = at >= 0 and text.count(mark) == 1 and (mark == "." or len(tail) != 3)
    whole = re.sub("[.,]", "", head if is_point else text)
    return float(f"{whole}.{tail or 0}") if is_point else float(whole)


def read_categories(column: pd.Series, levels: int | None) -> list[list[str]]:
    """The distinct values of each row, in their order, of nested lists or of text cut at `|` or ` > `.

    `levels` keeps the last so many of each path: `[["Beauty", "Makeup", "Nails"], ["Beauty", "Gifts"]]` with one
    level is Nails, Gifts.
    """
    return [list(dict.fromkeys(_flat(cell, levels))) for cell in column.tolist()]


def _flat(cell: Any, levels: int | None) -> Iterator[str]:
    for path in _paths(cell):
        names = [str(name).strip() for name in path if name is not None and str(name).strip().lower() not in NO_VALUE]
        yield from names if levels is None else names[-levels:]


def _paths(cell: Any) -> Iterator[list[Any]]:
    if isinstance(cell, str):
        yield cell.replace(" > ", "|").split("|")
    elif isinstance(cell, list | tuple | np.ndarray):
        nested = [part for part in cell if isinstance(part, list | tuple | np.ndarray)]
        if nested:
            for part in nested:
                yield from _paths(part)
        else:
            yield list(cell)


def told(prices: Prices) -> str | None:
    """What became of prices that are none; None where all are."""
    lost = [f"{prices.ranges:,} ranges"] if prices.ranges else []
    if prices.unreadable:
        lost.append(f"{len(prices.unreadable):,} unreadable ({listed(prices.unreadable, 3)})")
    return f"price: {' and '.join(lost)} of {len(prices.values):,} count as missing" if lost else None
