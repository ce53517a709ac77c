"""Rows that break a rule at a door: counted, shown, refused or left out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from recattn.errors import ConfigError, DataError

BadRowPolicy = Literal["error", "drop"]
Mask = npt.NDArray[np.bool_]

_SHOWN = 5


class DataWarning(UserWarning):
    """Something about the data was repaired or left out."""


class Fault(NamedTuple):
    """One kind of bad row: what is wrong, in which rows, and (where it tells something) the values seen."""

    reason: str
    mask: Mask  # bool [rows], True = bad
    values: pd.Series | None = None

    def describe(self) -> str:
        rows = np.flatnonzero(self.mask)
        return f"{len(rows):,} with {self.reason} ({first_rows(self.mask, self.values)})"


def first_rows(mask: Mask, values: pd.Series | None = None) -> str:
    """`"row 3: 'x', row 7: 'y' and 2 more"`: where `mask` is True, by place in the frame counted from 0."""
    rows = np.flatnonzero(mask)
    seen = None if values is None else values.iloc[rows[:_SHOWN]].tolist()
    shown = [f"row {row}" + ("" if seen is None else f": {seen[i]!r}") for i, row in enumerate(rows[:_SHOWN])]
    more = f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    return ", ".join(shown) + more


def check_policy(bad_rows: str) -> None:
    """ConfigError unless `bad_rows` is `error` or `drop`."""
    if bad_rows not in ("error", "drop"):
        raise ConfigError(f"bad_rows must be 'error' or 'drop', got {bad_rows!r}.")


def settle(what: str, faults: Sequence[Fault], bad_rows: BadRowPolicy, *, droppable: bool = True) -> Mask | None:
    """The rows to keep (bool [rows]), or None for all of them.

    Args:
        what: The frame's name, for the message.
        faults: What was looked for; faults without a bad row are passed over.
        bad_rows: `error` raises a DataError that counts the rows and shows the first of each kind; `drop`
            says the same in a DataWarning.
        droppable: Whether the message may offer `bad_rows='drop'`.

    Raises:
        DataError: There are bad rows and `bad_rows` is `error`, or no row is left.
    """
    faults = [fault for fault in faults if fault.mask.any()]
    if not faults:
        return None
    bad = np.logical_or.reduce([fault.mask for fault in faults])
    count = f"{int(bad.sum()):,} of {len(bad):,} rows"
    described = "; ".join(fault.describe() for fault in faults)
    if bad_rows == "error":
        remedy = " Fix them, or pass bad_rows='drop' to leave them out." if droppable else " Fix or drop them."
        raise DataError(f"{what} has {count} that cannot be used: {described}.{remedy}")
    if bad.all():
        raise DataError(f"{what} has no usable row: {described}.")
    warnings.warn(f"{what}: {count} left out: {described}.", DataWarning, stacklevel=4)
    return ~bad


def null_fault(series: pd.Series, column: str) -> Fault:
    """The rows in which `column` has no value."""
    return Fault(f"a null {column}", as_mask(series.isna()))


def as_mask(values: Any) -> Mask:
    """Any boolean column as a numpy mask; a missing answer is False."""
    return np.asarray(pd.Series(values).to_numpy(dtype=bool, na_value=False))
