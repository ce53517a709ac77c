"""Frames of candidates: made, checked, put in order."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked
from recattn.errors import DataError
from recattn.schema import DataWarning, check_ids, require
from recattn.schema.columns import ITEM, RANK, REQUEST, USER
from recattn.schema.rows import first_rows

SOURCE = "source"
SOURCE_RANK = "source_rank"


def candidates_frame(
    asked: Asked, places: np.ndarray, items: np.ndarray, source: str | np.ndarray, ranks: np.ndarray
) -> pd.DataFrame:
    """`[request_id,] user_id, item_id, source, source_rank` of n candidates, by request, then rank.

    Args:
        asked: The requests.
        places: int [n], ascending: the request of each candidate.
        items: Ids [n].
        source: Who found them, or who found each [n].
        ranks: int [n] from 1: the place in the source's list.
    """
    frame = asked.frame[asked.names].take(places).reset_index(drop=True)
    if isinstance(source, str):
        source = np.full(len(places), source, dtype=object)
    columns: dict[str, Any] = {ITEM: items, SOURCE: pd.Series(source, dtype=object)}
    return frame.assign(**columns, **{SOURCE_RANK: np.asarray(ranks, dtype=np.int64)})


def positions(groups: np.ndarray) -> np.ndarray:
    """The place of each row within its group, from 0, int64 [n]; rows of a group stand together in `groups` [n]."""
    if not len(groups):
        return np.empty(0, dtype=np.int64)
    first = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(first, np.diff(np.r_[first, len(groups)]))


def read_candidates(frame: object, asked: Asked, what: str) -> tuple[pd.DataFrame, np.ndarray]:
    """A generator's frame by request with every candidate once, and the request of each row, int64 [n].

    Rows of requests nobody asked for are left out with a DataWarning; of repeated candidates the first stays.

    Raises:
        DataError: No DataFrame, a missing column, null or mixed ids.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{what} must give a pandas DataFrame, got {type(frame).__name__}.")
    require(frame, [*asked.names, ITEM, SOURCE, SOURCE_RANK], f"the frame of {what}")
    frame = frame.assign(**{ITEM: check_ids(frame[ITEM], ITEM, f"the frame of {what}")})
    places = asked.places(frame, f"the frame of {what}")
    foreign = places < 0
    if foreign.any():
        warnings.warn(
            f"{what} gave {int(foreign.sum()):,} rows for a {asked.key} that nobody asked about, left out "
            f"({first_rows(foreign, frame[asked.key])}).",
            DataWarning,
            stacklevel=4,
        )
    items = pd.factorize(frame[ITEM])[0]
    order = np.argsort(places, kind="stable")
    order = order[~foreign[order]]
    twice = pd.DataFrame({"place": places[order], "item": items[order]}).duplicated().to_numpy()
    order = order[~twice]
    return frame.iloc[order].reset_index(drop=True), places[order]


def with_rank(candidates: pd.DataFrame) -> pd.DataFrame:
    """Candidates as recommendations, so that `evaluate` can judge them: `rank` is the place in the request's list."""
    key = REQUEST if REQUEST in candidates else USER
    require(candidates, [key, ITEM], "candidates")
    return candidates.assign(**{RANK: candidates.groupby(key, sort=False).cumcount() + 1})
