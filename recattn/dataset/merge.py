"""One history store from several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from recattn.dataset.history import HistoryStore
from recattn.errors import DataError

Place = np.ndarray  # int64 [users]: the row of each user in one of the stores, -1 where it has none


def merge_stores(stores: Sequence[HistoryStore]) -> HistoryStore:
    """One store with the interactions of all, in the first one's codes; ties keep the order of the list.

    Places go on counting what each store had dropped before a row, where a later row of it tells.

    Raises:
        DataError: Some stores have timestamps and others an order only.
    """
    first = stores[0]
    if len(stores) == 1:
        return first
    if any(store.time != first.time for store in stores):
        raise DataError("histories with timestamps and histories with an order only cannot be merged.")
    recoded = [store.recode(first.item_vocabulary) for store in stores]
    behaviours = next((store.behaviour_vocabulary for store in stores if store.behaviour_vocabulary is not None), None)
    if behaviours is not None:
        recoded = [store.with_behaviours(behaviours) for store in recoded]
    [merged] = merged_blocks(recoded)
    return replace(merged, behaviour_vocabulary=behaviours)


def merged_blocks(stores: Sequence[HistoryStore], rows: int | None = None) -> Iterator[HistoryStore]:
    """The merged store in blocks of whole users with some `rows` interactions each, or in one.

    The stores share their codes. Users come in the order of first appearance over the list.
    """
    users, places = _all_users(stores)
    lengths = sum(_lengths(store, place) for store, place in zip(stores, places, strict=True))
    ends = np.cumsum(lengths)
    cuts = np.array([0, len(users)])
    if rows is not None and len(users):
        cuts = np.append(np.flatnonzero(np.diff(ends // rows, prepend=-1)), len(users))
    dropped = sum(store.dropped for store in stores)
    for start, stop in pairwise(cuts):
        block = _merge_users(stores, users[start:stop], [place[start:stop] for place in places], counted=dropped > 0)
        yield replace(block, dropped=dropped if start == 0 else 0)


def _all_users(stores: Sequence[HistoryStore]) -> tuple[np.ndarray, list[Place]]:
    codes, users = pd.factorize(np.concatenate([store.users for store in stores]))
    places, begin = [], 0
    for store in stores:
        place = np.full(len(users), -1, np.int64)
        place[codes[begin : begin + len(store.users)]] = np.arange(len(store.users))
        places.append(place)
        begin += len(store.users)
    return users, places


def _lengths(store: HistoryStore, place: Place) -> np.ndarray:
    return np.where(place >= 0, np.append(store.lengths, 0)[place], 0)


def _merge_users(
    stores: Sequence[HistoryStore], users: np.ndarray, places: Sequence[Place], *, counted: bool
) -> HistoryStore:
    """The histories of `users`, whose rows in each store `places` tells; `counted`: some rows were dropped before."""
    first = stores[0]
    lengths = [_lengths(store, place) for store, place in zip(stores, places, strict=True)]
    takes = [
        _rows_of(store.offsets[place[place >= 0]], length[place >= 0])
        for store, place, length in zip(stores, places, lengths, strict=True)
    ]
    owners = np.concatenate([np.repeat(np.arange(len(users)), length) for length in lengths])
    times = None if first.times is None else _joined([s.times for s in stores], takes)
    order = np.argsort(owners, kind="stable") if times is None else np.lexsort((times, owners))

    def merged(name: str, missing: int | float, dtype: type) -> np.ndarray | None:
        columns = [getattr(store, name) for store in stores]
        if all(column is None for column in columns):
            return None
        return _joined(columns, takes, missing, dtype)[order]

    items = merged("items", 0, np.int32)
    assert items is not None
    offsets = np.concatenate([[0], np.cumsum(sum(lengths))]).astype(np.int64)
    positions = None
    if counted:
        lost = np.concatenate(
            [_lost(store, take, length) for store, take, length in zip(stores, takes, lengths, strict=True)]
        )[order]
        ends = np.append(0, np.cumsum(1 + lost))
        positions = (ends[1:] - 1 - np.repeat(ends[offsets[:-1]], np.diff(offsets))).astype(np.int32)
    return HistoryStore(
        users=users,
        offsets=offsets,
        items=items,
        times=None if times is None else times[order],
        behaviours=merged("behaviours", 0, np.int8),
        weights=merged("weights", np.nan, np.float32),
        positions=positions,
        item_vocabulary=first.item_vocabulary,
        behaviour_vocabulary=first.behaviour_vocabulary,
        extras={
            name: _joined([store.extras[name] for store in stores], takes)[order]
            for name in first.extras
            if all(name in store.extras for store in stores)
        },
    )


def _rows_of(starts: np.ndarray, lengths: np.ndarray) -> slice | np.ndarray:
    """Rows `start ... start + length - 1` of each stretch, one after another; a slice where they have no gaps."""
    if not len(starts):
        return slice(0, 0)
    if (starts[1:] == starts[:-1] + lengths[:-1]).all():
        return slice(int(starts[0]), int(starts[-1] + lengths[-1]))
    return np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())


def _joined(
    columns: Sequence[np.ndarray | None],
    takes: Sequence[slice | np.ndarray],
    missing: int | float = 0,
    dtype: type | None = None,
) -> np.ndarray:
    pieces = [
        np.full(_count(take), missing, dtype) if column is None else column[take]
        for column, take in zip(columns, takes, strict=True)
    ]
    return np.concatenate(pieces)


def _count(take: slice | np.ndarray) -> int:
    return take.stop - take.start if isinstance(take, slice) else len(take)


def _lost(store: HistoryStore, take: slice | np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows dropped between each taken row and its user's row before it, int64 [rows]."""
    if store.positions is None:
        return np.zeros(int(lengths.sum()), np.int64)
    places = store.positions[take].astype(np.int64)
    before = np.append(-1, places)[:-1]
    before[(np.cumsum(lengths) - lengths)[lengths > 0]] = -1
    return places - before - 1
