"""The items most often found together."""

from __future__ import annotations

from typing import Any

import numpy as np

from recattn.dataset import HistoryStore

_PAIRS_AT_ONCE = 1 << 22


def item_similarities(store: HistoryStore, neighbors: int, shrinkage: float) -> Any:
    """Similarity of items by code, a scipy CSR array float32 [N + 1, N + 1] with `neighbors` entries a row at most.

    sim(i, j) = users(i and j) / (sqrt(users(i) users(j)) + shrinkage) for j != i; of equal ones the lower code
    is kept. A user counts once however often they came back. Items are taken in blocks, so that memory is
    bounded by some 4 million pairs beside the result (or the pairs of one item, where these are more).
    """
    from scipy.sparse import csr_array, vstack

    size = len(store.item_vocabulary) + 1
    likes = csr_array(
        (np.ones(len(store), np.float32), np.asarray(store.items), store.offsets), shape=(len(store.users), size)
    )
    likes.sum_duplicates()
    likes.data[:] = 1
    liked_by = likes.T.tocsr()
    users = np.diff(liked_by.indptr)
    pairs = np.minimum(liked_by @ np.diff(likes.indptr).astype(np.float64), size)
    blocks = [csr_array((0, size), dtype=np.float32)]
    for first, last in _blocks(pairs):
        together = (liked_by[first:last] @ likes).tocoo()
        rows, columns = together.coords
        similarity = together.data / (np.sqrt(users[first + rows] * users[columns].astype(np.float64)) + shrinkage)
        other = columns != first + rows
        kept = most_similar(rows[other], columns[other], similarity[other], neighbors)
        values = similarity[other][kept].astype(np.float32)
        places = (rows[other][kept], columns[other][kept])
        blocks.append(csr_array((values, places), shape=(last - first, size)))
    return vstack(blocks, format="csr")


def _blocks(pairs: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of items with at most `_PAIRS_AT_ONCE` pairs together, or one item."""
    ends = np.cumsum(pairs)
    result, first = [], 0
    while first < len(pairs):
        before = ends[first - 1] if first else 0.0
        last = max(first + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")))
        result.append((first, last))
        first = last
    return result


def most_similar(rows: np.ndarray, columns: np.ndarray, similarity: np.ndarray, neighbors: int) -> np.ndarray:
    """Which entries to keep: the first `neighbors` of each row by similarity, then column."""
    order = np.lexsort((columns, -similarity, rows))
    counts = np.bincount(rows)
    places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[places < neighbors]
