"""Protocols that cut a log into train, validation, test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Ties, Time
from recattn.dataset.split import PARTS, Split, day
from recattn.dataset.targets import OrderedLog
from recattn.errors import ConfigError, DataError
from recattn.schema import check_time, moment, read_interactions
from recattn.schema import columns as c
from recattn.schema.times import Unit


def split_by_time(
    log: pd.DataFrame | str | Path,
    *,
    valid_from: Any = None,
    test_from: Any = None,
    q: float = 0.9,
    ties: Ties = "exclude",
    time: Time = "timestamp",
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
) -> Split:
    """Cut at two moments, the same for all users: train < valid_from <= valid < test_from <= test.

    The protocol of "Time to Split" (arXiv 2507.16289): nothing that happened after a held-out interaction's part began
    is in train.

    Args:
        log: Interactions in any form `read_interactions` takes; `columns` and `unit` go to it.
        valid_from: Where validation begins: seconds UTC, or anything pandas parses. By default the `q`-quantile of the
            timestamps before `test_from`.
        test_from: Where test begins; by default the `q`-quantile of all timestamps.
        q: Share of the interactions before each cut that is not given, roughly: no moment is torn apart.
        ties: Whether a request sees earlier rows of its own moment (`order`) or none of them (`exclude`).
        time: Only `timestamp` will do; `order` is refused.

    Raises:
        DataError: Order-only data, cuts out of order, a part without rows, and what `read_interactions` refuses.
        ConfigError: `q` outside (0, 1), or an unknown value of `ties` or `time`.
    """
    check_time(time)
    _check_ties(ties)
    if not 0 < q < 1:
        raise ConfigError(f"q must lie between 0 and 1, got {q!r}.")
    if time == "order":
        raise DataError("order-only data has no time split: there is no moment all users share. Use leave_last_out.")
    frame = read_interactions(log, columns=columns, unit=unit)
    times = frame[c.TIME].to_numpy()
    if OrderedLog(frame).only_counts:
        raise DataError(
            "order-only data has no time split: the timestamps of every user just count 0, 1, 2, ... "
            "Use leave_last_out(log, time='order')."
        )
    test = _quantile(times, q) if test_from is None else moment(test_from, "test_from")
    earlier = times[times < test]
    if valid_from is None and not len(earlier):
        raise _empty("train", times, None, test)
    valid = _quantile(earlier, q) if valid_from is None else moment(valid_from, "valid_from")
    if valid >= test:
        raise DataError(f"valid_from ({day(valid)}) must lie before test_from ({day(test)}).")
    part = (times >= valid).astype(np.int8) + (times >= test).astype(np.int8)
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            raise _empty(name, times, valid, test)
    return Split(frame, part, valid, test, "timestamp", ties, leaks=False)


def leave_last_out(
    log: pd.DataFrame | str | Path,
    *,
    time: Time = "timestamp",
    ties: Ties = "order",
    min_history: int = 1,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "s",
) -> Split:
    """Each user's last interaction is test, the last but one validation, the rest train. It leaks.

    Train then holds what other users did after a held-out interaction, so figures come out better than a model will do
    in use, and popularity and trends are known before their time. It is here to compare with published figures; an
    honest estimate needs `split_by_time`. `Split.leaks` and `summary()` say so.

    Args:
        log: Interactions in any form `read_interactions` takes; `columns` and `unit` go to it.
        time: `order` where the timestamps (if any) tell no more than the order within a user.
        ties: `order`, as published: interactions of one moment count in the order given. `exclude`: a request does
            not see other rows of its moment.
        min_history: Interactions a user must have before its validation target; users with fewer stay wholly in train.

    Raises:
        DataError: No user has `min_history` + 2 interactions, and what `read_interactions` refuses.
        ConfigError: `min_history` below 1, or an unknown value of `ties` or `time`.
    """
    check_time(time)
    _check_ties(ties)
    if min_history < 1:
        raise ConfigError(f"min_history must be at least 1, got {min_history!r}.")
    frame = read_interactions(log, columns=columns, unit=unit, time=time)
    ordered = OrderedLog(frame)
    left = ordered.sizes[ordered.users] - ordered.places  # rows from here to the user's end, this one included
    held_out = np.where(left <= 2, 3 - left, 0)
    enough = ordered.sizes >= min_history + 2
    if not enough.any():
        raise DataError(
            f"no user has the {min_history + 2} interactions that leave_last_out needs with min_history={min_history}; "
            f"the longest of {len(ordered.sizes):,} histories has {ordered.sizes.max():,}."
        )
    part = np.where(enough[ordered.users], held_out, 0).astype(np.int8)
    return Split(frame, part, None, None, time, ties, leaks=True)


def _check_ties(ties: str) -> None:
    if ties not in ("exclude", "order"):
        raise ConfigError(f"ties must be 'exclude' or 'order', got {ties!r}.")


def _quantile(times: np.ndarray, q: float) -> int:
    return int(np.quantile(times, q, method="higher"))


def _empty(part: str, times: np.ndarray, valid: int | None, test: int) -> DataError:
    cuts = f"test_from={day(test)}" if valid is None else f"valid_from={day(valid)}, test_from={day(test)}"
    return DataError(
        f"the time split leaves no interaction for {part}: with {cuts}, while the {len(times):,} interactions lie "
        f"between {day(int(times.min()))} and {day(int(times.max()))}. Move the cuts, or choose another q."
    )
