"""One history store from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from recattn.dataset.history import HistoryStore
from recattn.errors import DataError
from recattn.schema.columns import TIME, USER

LOST = "\0lost"


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
    frames = [store.to_frame().assign(**{LOST: _lost(store)}) for store in stores]
    if first.times is None:
        _one_after_another(frames)
    merged = HistoryStore.from_frame(
        pd.concat(frames, ignore_index=True),
        first.item_vocabulary,
        behaviours=first.behaviour_vocabulary,
        time=first.time,
        extras=[*(name for name in first.extras if all(name in store.extras for store in stores)), LOST],
    )
    extras = dict(merged.extras)
    ends = np.append(0, np.cumsum(1 + extras.pop(LOST) + _lost(merged)))
    places = ends[1:] - 1 - np.repeat(ends[merged.offsets[:-1]], merged.lengths)
    dropped = merged.dropped + sum(store.dropped for store in stores)
    return replace(merged, extras=extras, positions=places.astype(np.int32) if dropped else None, dropped=dropped)


def _lost(store: HistoryStore) -> np.ndarray:
    """Rows dropped between each row of the store and the user's row before it, int64 [R]."""
    places = store.places
    before = np.append(-1, places)[:-1]
    before[store.offsets[:-1][store.lengths > 0]] = -1
    return places - before - 1


def _one_after_another(frames: Sequence[pd.DataFrame]) -> None:
    """Shift each frame's running index behind the end of the frames before it."""
    ends = pd.Series(dtype=np.int64)
    for frame in frames:
        frame[TIME] += frame[USER].map(ends).fillna(0).astype(np.int64)
        ends = ends.combine(frame.groupby(USER, sort=False)[TIME].max() + 1, max, fill_value=0).astype(np.int64)
