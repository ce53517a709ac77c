"""Filters that take rows out of a training log."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.dataset.targets import OrderedLog
from recattn.errors import ConfigError, DataError, nearest
from recattn.schema import columns as c
from recattn.schema import read_interactions, span

SESSION = "session_id"
FILTERS = ("drop_duplicates", "drop_repeats", "user_min", "item_min")


@dataclasses.dataclass(frozen=True)
class CleanConfig:
    """What `clean` does, in the order it does it.

    Attributes:
        drop_duplicates: Whether to keep one of rows that are equal in user, item, timestamp (and event_type).
        drop_repeats: Whether to keep the first of rows in which a user meets one item several times running.
        user_min: Interactions a user must have to stay; 0 keeps all.
        item_min: Interactions an item must have to stay; 0 keeps all.
        session_gap: A pause longer than this (such as "30min") begins a new session; None adds no `session_id`.
    """

    drop_duplicates: bool = False
    drop_repeats: bool = False
    user_min: int = 0
    item_min: int = 0
    session_gap: str | None = None

    def __post_init__(self) -> None:
        _check_minimum("user_min", self.user_min)
        _check_minimum("item_min", self.item_min)
        if self.session_gap is not None:
            span(self.session_gap, "session_gap")


def clean(
    log: pd.DataFrame | str | Path, config: CleanConfig | None = None, **settings: Any
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The log without the rows the filters take out, and how many each took.

    Cleaning is for train, after the split: filtered before it, the held-out part loses the users and items that are
    hard, and what is kept depends on the future. Presets that reproduce published files filter before, and say so.

    Args:
        log: Interactions, as `read_interactions` takes them; with order only, its canonical frame.
        config: What to do. Filters run once, in the order of `CleanConfig`, the two minima together until stable.
        settings: Fields of `CleanConfig` to set, over `config`.

    Returns:
        The canonical frame of the rows left, in their order, and the rows removed by `drop_duplicates`,
        `drop_repeats`, `user_min`, `item_min`.

    Raises:
        DataError: No row is left; the message says which filter removed how many.
        ConfigError: An unknown setting or an impossible value.
    """
    names = [field.name for field in dataclasses.fields(CleanConfig)]
    for name in settings:
        if name not in names:
            raise ConfigError(f"clean has no setting {name!r}.{nearest(name, names)} It has: {', '.join(names)}.")
    config = dataclasses.replace(config or CleanConfig(), **settings)
    frame = read_interactions(log)
    if config.session_gap is not None:
        _check_pauses(frame)
    rows, counts = len(frame), dict.fromkeys(FILTERS, 0)
    if config.drop_duplicates:
        frame, counts["drop_duplicates"] = _taken(frame, drop_duplicates(frame))
    if config.drop_repeats:
        frame, counts["drop_repeats"] = _taken(frame, drop_repeats(frame))
    alive, counts["user_min"], counts["item_min"] = _core(frame, config.user_min, config.item_min)
    if not alive.any():
        raise _nobody_left(rows, counts, frame, config.user_min, config.item_min)
    frame = _rows(frame, alive)
    if config.session_gap is not None:
        frame = add_sessions(frame, config.session_gap)
    return frame, counts


def k_core(log: pd.DataFrame, *, user_min: int = 0, item_min: int = 0) -> pd.DataFrame:
    """The largest part of the log in which every user has `user_min` rows and every item `item_min`.

    Every row counts, repeats too. Rows keep their order, index 0..; 0 asks nothing. For train, after the split.

    Raises:
        DataError: Nobody is left; the message says which minimum removed how many rows.
        ConfigError: A minimum that is no whole number >= 0.
    """
    frame = read_interactions(log)
    alive, by_users, by_items = _core(frame, _check_minimum("user_min", user_min), _check_minimum("item_min", item_min))
    if not alive.any():
        raise _nobody_left(len(frame), {"user_min": by_users, "item_min": by_items}, frame, user_min, item_min)
    return _rows(frame, alive)


def drop_duplicates(log: pd.DataFrame) -> pd.DataFrame:
    """The log with the first of rows that are equal in user, item, timestamp and, where it has one, event_type."""
    frame = read_interactions(log)
    return _rows(frame, ~frame.duplicated(_same(frame, c.TIME)).to_numpy())


def drop_repeats(log: pd.DataFrame) -> pd.DataFrame:
    """The log with the first of rows in which a user meets one item several times running, by time then row order.

    Where the log has an `event_type`, another event on the same item is no repeat. `A A B A` leaves `A B A`.
    """
    frame = read_interactions(log)
    order = OrderedLog(frame).order
    follows = np.zeros(len(frame), bool)
    keys = [pd.factorize(frame[name])[0][order] for name in _same(frame)]
    follows[order[1:]] = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return _rows(frame, ~follows)


def add_sessions(log: pd.DataFrame, gap: str = "30min") -> pd.DataFrame:
    """The log with a column `session_id` (int64): 0, 1, ... by user (first appearance), then time.

    A new session begins with each user, and where the pause since the user's row before is longer than `gap` (text with
    a unit, or a timedelta).

    Raises:
        DataError: The log has a `session_id` already, or order-only data, which has no pauses.
        ConfigError: `gap` is no positive span of time.
    """
    seconds = span(gap, "gap")
    frame = read_interactions(log)
    _check_pauses(frame)
    ordered = OrderedLog(frame)
    users, times = ordered.users[ordered.order], frame[c.TIME].to_numpy()[ordered.order]
    opens = (users[1:] != users[:-1]) | (np.diff(times) > seconds)
    sessions = np.zeros(len(frame), np.int64)
    sessions[ordered.order[1:]] = np.cumsum(opens)
    return frame.assign(**{SESSION: sessions})


def _check_pauses(frame: pd.DataFrame) -> None:
    if SESSION in frame.columns:
        raise DataError(f"interactions has a column {SESSION!r} already. Drop or rename it first.")
    if OrderedLog(frame).only_counts:
        raise DataError("order-only data has no sessions: its timestamps just count 0, 1, 2, ... within a user.")


def _core(frame: pd.DataFrame, user_min: int, item_min: int) -> tuple[np.ndarray, int, int]:
    """Rows of the core, bool [R], with the rows taken out for their user and for their item."""
    alive, removed = np.ones(len(frame), bool), [0, 0]
    sides = [
        (number, pd.factorize(frame[name])[0], least)
        for number, (name, least) in enumerate([(c.USER, user_min), (c.ITEM, item_min)])
        if least > 1
    ]
    changed = True
    while changed:
        changed = False
        for number, codes, least in sides:
            rare = alive & (np.bincount(codes[alive], minlength=codes.max() + 1) < least)[codes]
            changed |= bool(rare.any())
            removed[number] += int(rare.sum())
            alive &= ~rare
    return alive, removed[0], removed[1]


def _nobody_left(rows: int, counts: dict[str, int], frame: pd.DataFrame, user_min: int, item_min: int) -> DataError:
    minima = {"user_min": user_min, "item_min": item_min}
    told = ", ".join(f"{name}{f'={minima[name]}' if name in minima else ''} {n:,}" for name, n in counts.items() if n)
    return DataError(
        f"cleaning leaves no interaction: of {rows:,} rows, these were removed: {told}. The longest history has "
        f"{frame[c.USER].value_counts().max():,} rows, the most frequent item {frame[c.ITEM].value_counts().max():,}. "
        f"Lower user_min or item_min."
    )


def _check_minimum(name: str, value: object) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} must be a whole number of at least 0, got {value!r}.")
    return int(value)


def _same(frame: pd.DataFrame, *more: str) -> list[str]:
    return [c.USER, c.ITEM, *more, *([c.EVENT] if c.EVENT in frame.columns else [])]


def _taken(before: pd.DataFrame, after: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    return after, len(before) - len(after)


def _rows(frame: pd.DataFrame, keep: np.ndarray) -> pd.DataFrame:
    return frame.loc[keep].reset_index(drop=True)
