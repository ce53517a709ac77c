"""Which items a request may be given."""

from __future__ import annotations

import numpy as np

from recattn.dataset import HistoryStore, Requests
from recattn.dataset.requests import gather_ranges
from recattn.dataset.tables import ItemTable


def forbid(
    scores: np.ndarray,
    codes: np.ndarray,
    store: HistoryStore,
    requests: Requests,
    table: ItemTable,
    *,
    exclude_seen: bool,
) -> None:
    """Write -inf into `scores` float32 [X, C] where request x may not be given the item `codes[c]`.

    That is what is not yet available at its moment and, with `exclude_seen`, what its visible history holds.
    """
    if table.available_from is not None and requests.as_of is not None:
        scores[table.available_from[codes] > np.asarray(requests.as_of)[:, None]] = -np.inf
    if exclude_seen:
        rows, offsets = gather_ranges(requests.starts, requests.stops)
        places = np.full(len(table), -1)
        places[codes] = np.arange(len(codes))
        columns = places[store.items[rows]]
        owners = np.repeat(np.arange(len(requests)), np.diff(offsets))
        scores[owners[columns >= 0], columns[columns >= 0]] = -np.inf


def most_forbidden(codes: np.ndarray, requests: Requests, table: ItemTable, *, exclude_seen: bool) -> np.ndarray:
    """How many of `codes` [C] `forbid` takes from each request at most, int64 [X]."""
    counts = requests.lengths.astype(np.int64) if exclude_seen else np.zeros(len(requests), dtype=np.int64)
    if table.available_from is not None and requests.as_of is not None:
        since = np.sort(table.available_from[codes])
        counts = counts + len(codes) - np.searchsorted(since, requests.as_of, side="right")
    return np.minimum(counts, len(codes))
