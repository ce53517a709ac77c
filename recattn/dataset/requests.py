"""Who is asked about, at which moment, with which history and which candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Ties
from recattn.dataset.history import HistoryStore
from recattn.dataset.vocabulary import UNKNOWN
from recattn.errors import DataError
from recattn.schema.columns import ITEM, LABEL, POSITION, REQUEST, TIME, USER, WEIGHT
from recattn.schema.rows import first_rows


@dataclass(frozen=True, eq=False)
class Requests:
    """X requests over one store; request x sees the store's rows `starts[x]:stops[x]`, all before its moment."""

    request_ids: np.ndarray  # [X] as given, or 0..X-1
    user_ids: np.ndarray  # external ids [X]
    users: np.ndarray  # int32 [X], row in the store, -1 = no history at all
    as_of: np.ndarray | None  # int64 [X] UTC seconds; None for order-only stores
    starts: np.ndarray  # int64 [X] absolute rows of the store
    stops: np.ndarray  # int64 [X]; starts == stops: an empty history
    offsets: np.ndarray | None = None  # int64 [X + 1] into candidates; None: the catalog
    candidates: np.ndarray | None = None  # int32 [M] item codes, -1 = unknown
    rows: np.ndarray | None = None  # int64 [M] row of the slate each candidate came from
    labels: np.ndarray | None = None  # float32 [M]
    weights: np.ndarray | None = None  # float32 [M]
    context: pd.DataFrame | None = None  # X rows of further columns

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> np.ndarray:
        """Visible interactions a request, int64 [X]."""
        return self.stops - self.starts

    def take(self, rows: np.ndarray) -> Requests:
        """The requests at `rows` (int [Y]), with their candidates."""
        part = replace(
            self,
            request_ids=self.request_ids[rows],
            user_ids=self.user_ids[rows],
            users=self.users[rows],
            as_of=None if self.as_of is None else self.as_of[rows],
            starts=self.starts[rows],
            stops=self.stops[rows],
            context=None if self.context is None else self.context.iloc[rows].reset_index(drop=True),
        )
        if self.offsets is None:
            return part
        chosen, offsets = gather_ranges(self.offsets[:-1][rows], self.offsets[1:][rows])
        columns = ("candidates", "rows", "labels", "weights")
        kept: dict[str, Any] = {n: None if getattr(self, n) is None else getattr(self, n)[chosen] for n in columns}
        return replace(part, offsets=offsets, **kept)


def make_requests(
    store: HistoryStore,
    users: Iterable[Any] | pd.DataFrame | None = None,
    *,
    as_of: int | None = None,
    ties: Ties = "exclude",
) -> Requests:
    """Requests for the catalog.

    Args:
        store: The histories.
        users: User ids, or a frame of requests with `user_id` and, where known, `request_id`, `timestamp` (the
            moment, UTC seconds), `position` (interactions of the user's given log that come before) and context
            columns. None: every user of the store.
        as_of: The moment of requests that name none; just after the end of the store by default.
        ties: `exclude`: interactions at the moment itself are not seen. `order`: a `position` decides, where given.
    """
    if users is None:
        users = store.users
    frame = users if isinstance(users, pd.DataFrame) else pd.DataFrame({USER: pd.Series(users)})
    if USER not in frame:
        raise DataError(f"requests has no column 'user_id'; it has {list(frame.columns)}.")
    return _bind(store, frame.reset_index(drop=True), as_of, ties)


def make_slate_requests(
    store: HistoryStore,
    slate: pd.DataFrame,
    *,
    as_of: int | None = None,
    ties: Ties = "exclude",
    context: Sequence[str] = (),
) -> Requests:
    """Requests with the candidates of a canonical slate.

    Rows of one `request_id` (else of one user at one `timestamp` in one `context`: the columns a model uses) are one
    request, in the order of first appearance; moment and other columns are those of the request's first row.

    Raises:
        DataError: Rows of one `request_id` differ in a column of `context`.
    """
    describing = {name: _equals(slate[name]) for name in context if name in slate}
    keys = [name for name in ([REQUEST] if REQUEST in slate else [USER, TIME, *describing]) if name in slate]
    groups = slate.assign(**describing).groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups) if len(groups) else np.empty(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    first = order[offsets[:-1]]
    for name, codes in describing.items():
        differs = codes != codes[first][groups]
        if differs.any():
            raise DataError(
                f"slate: every {keys[0]} must have one {name}, but {int(differs.sum()):,} rows differ from the first "
                f"row of their request ({first_rows(differs, slate[keys[0]])})."
            )
    heads = slate.iloc[first].drop(columns=[ITEM, LABEL, WEIGHT], errors="ignore")

    def column(name: str) -> np.ndarray | None:
        return slate[name].to_numpy(np.float32)[order] if name in slate else None

    return replace(
        _bind(store, heads.reset_index(drop=True), as_of, ties),
        offsets=offsets,
        candidates=store.item_vocabulary.encode(slate[ITEM])[order],
        rows=order.astype(np.int64),
        labels=column(LABEL),
        weights=column(WEIGHT),
    )


def _equals(values: pd.Series) -> np.ndarray:
    """int64 [n]: equal for equal cells, lists among them."""
    try:
        return pd.factorize(values)[0]
    except TypeError:
        return pd.factorize(values.map(repr))[0]


def _bind(store: HistoryStore, frame: pd.DataFrame, as_of: int | None, ties: Ties) -> Requests:
    users = store.user_rows(frame[USER])
    known = users != UNKNOWN
    starts = np.where(known, store.offsets[users], 0)
    ends = np.where(known, store.offsets[users + known], 0)
    moments = None
    if store.times is not None:
        default = as_of if as_of is not None else store.end or 0
        moments = frame[TIME].to_numpy(np.int64) if TIME in frame else np.full(len(frame), default, np.int64)
    if POSITION in frame and (ties == "order" or moments is None):
        wanted = frame[POSITION].to_numpy(np.int64)
        stops = search_sorted(store.places, starts, ends, wanted)
    elif moments is not None and store.times is not None:
        stops = search_sorted(store.times, starts, ends, moments)
    else:
        stops = ends
    used = [USER, REQUEST, TIME, POSITION]
    context = frame.drop(columns=used, errors="ignore")
    return Requests(
        request_ids=frame[REQUEST].to_numpy() if REQUEST in frame else np.arange(len(frame)),
        user_ids=frame[USER].to_numpy(),
        users=users,
        as_of=moments,
        starts=starts,
        stops=stops,
        context=context if len(context.columns) else None,
    )


def search_sorted(values: np.ndarray, starts: np.ndarray, stops: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """First row r in `starts[x]:stops[x]` with `values[r] >= wanted[x]`, or `stops[x]`; int64 [X].

    A binary search in all slices at once; each slice of `values` must be ascending.
    """
    low, high = starts.astype(np.int64).copy(), stops.astype(np.int64).copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        below = np.zeros(len(low), bool)
        below[open_] = values[middle[open_]] < wanted[open_]
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low


def gather_ranges(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of all slices `starts[x]:stops[x]` one after another, int64 [sum], and their offsets, int64 [X + 1]."""
    lengths = stops - starts
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return rows, offsets
