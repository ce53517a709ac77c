"""Recommendation frames at the door, whoever made them."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError
from recattn.schema import columns as c
from recattn.schema.ids import check_ids
from recattn.schema.interactions import in_order
from recattn.schema.names import require
from recattn.schema.read import own_copy
from recattn.schema.rows import Fault, first_rows, settle

WHAT = "recommendations"


def check_k(k: object, catalog_size: int | None = None, *, name: str = "k") -> int:
    """`k` as an int. ConfigError, naming `name`, unless it is a whole number from 1 to `catalog_size` (if given)."""
    try:
        number = 0 if isinstance(k, (bool, np.bool_)) else operator.index(k)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, got {k!r}.")
    if catalog_size is not None and number > catalog_size:
        raise ConfigError(
            f"{name} = {number:,} is more than the {catalog_size:,} items there are. Ask for those at most."
        )
    return number


def check_recommendations(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy with `[request_id,] user_id, item_id[, score], rank` first, rank int64 from 1; rows keep their
    order.

    `user_id` may be missing where `request_id` is there. Without `rank` it follows from `score` within a
    request (or user), highest first, ties in row order. The frame may have no row.

    Raises:
        DataError: Missing column, null or mixed ids, an item or a rank twice in a request, a score that
            is no finite number, a rank that is no whole number >= 1.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{WHAT} must be a pandas DataFrame, got {type(frame).__name__}.")
    frame = own_copy(frame).reset_index(drop=True)
    key = c.REQUEST if c.REQUEST in frame.columns else c.USER
    require(frame, [key, c.ITEM, c.RANK if c.SCORE not in frame.columns else c.SCORE], WHAT)
    for column in (c.REQUEST, c.USER, c.ITEM):
        if column in frame.columns:
            frame[column] = check_ids(frame[column], column, WHAT)
    requests, items = pd.factorize(frame[key])[0], pd.factorize(frame[c.ITEM])[0]
    if c.SCORE in frame.columns:
        scores = _numbers(frame, c.SCORE)
    if c.RANK in frame.columns:
        ranks = _numbers(frame, c.RANK)
        wrong = (ranks < 1) | (ranks != np.floor(ranks))
        settle(
            WHAT,
            [Fault("a rank that is no whole number >= 1", wrong, frame[c.RANK])],
            "error",
            droppable=False,
        )
    else:
        order = np.lexsort((-scores, requests))
        starts = np.concatenate([[0], np.cumsum(np.bincount(requests))]).astype(np.int64)
        ranks = np.empty(len(frame))
        ranks[order] = np.arange(len(frame)) - starts[requests[order]] + 1
    frame[c.RANK] = ranks.astype(np.int64)
    for column, values in ((c.ITEM, items), (c.RANK, ranks)):
        twice = pd.DataFrame({"request": requests, "value": values}).duplicated().to_numpy()
        if twice.any():
            raise DataError(
                f"{WHAT}: {int(twice.sum()):,} rows repeat an earlier {column} of their {key} "
                f"({first_rows(twice, frame[column])}). Every {column} may stand once in a request."
            )
    return in_order(frame, [c.REQUEST, c.USER, c.ITEM, c.SCORE, c.RANK])


def _numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    fault = Fault(f"a {column} that is no finite number", ~np.isfinite(values), frame[column])
    settle(WHAT, [fault], "error", droppable=False)
    return values
