"""What followed what in the histories of train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recattn.dataset.history import HistoryStore

_ROWS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Transitions:
    """For each item the items that followed it; row i is `offsets[i]:offsets[i + 1]`, by code."""

    offsets: np.ndarray  # int64 [N + 2]
    items: np.ndarray  # int32 [M], ascending in a row
    shares: np.ndarray  # float32 [M], estimated chance that the item follows; a row sums to at most 1


def count_transitions(
    store: HistoryStore,
    *,
    steps: int = 10,
    decay: float = 0.8,
    shrinkage: float = 5.0,
    most: int = 500,
    half_life: float | None = None,
    mutual: bool = False,
) -> Transitions:
    """Count how often each item followed each other one within `steps` interactions of one user.

    share(c | i) = count(i, c) / (sum over c of count(i, c) + shrinkage), where an occurrence s steps apart counts
    decay ** (s - 1). The rest to 1 is what the item cannot say for lack of evidence. Heuristics of this kind rival
    trained models on sparse data (arXiv 2605.07125). Interactions of one moment follow each other as they were given:
    what is bought together counts, too, whatever a request may see of its own moment.

    With `mutual` both directions count alike, and what is popular counts less: the cosine of two items' companies,
    share(c | i) = count(i, c) / sqrt((n_i + shrinkage) (n_c + shrinkage)), n their interactions; no row sums to one.

    Args:
        store: The histories.
        steps: How far apart two interactions may be.
        decay: What each further step takes from a count.
        shrinkage: Counts that an item must have before its shares sum to one half.
        most: Items kept a row, those of the highest counts; the shares of the others are lost.
        half_life: Days before the end of the store after which an occurrence counts half; None: all count alike.
        mutual: Whether what stands before an item counts as what follows it.
    """
    size, items = len(store.item_vocabulary) + 1, np.asarray(store.items)
    weights = np.ones(len(items), np.float32)
    if half_life is not None and store.times is not None and len(items):
        weights = recency_weights(store.times, half_life)
    total = pair_counts(store, steps, decay, weights)
    if mutual:
        total = (total + total.T).tocsr()
    total.sum_duplicates()
    rows = np.repeat(np.arange(size, dtype=np.int32), np.diff(total.indptr))
    if mutual:
        scale = 1 / np.sqrt(np.bincount(items, weights, minlength=size) + shrinkage)
        shares = total.data * scale[rows] * scale[total.indices]
    else:
        shares = total.data / (total.sum(axis=1)[rows] + shrinkage)
    kept = _highest(rows, total.indices, shares, most)
    return Transitions(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=size))]).astype(np.int64),
        items=total.indices[kept].astype(np.int32),
        shares=shares[kept].astype(np.float32),
    )


def pair_counts(store: HistoryStore, steps: int, decay: float, weights: np.ndarray) -> Any:
    """Sum of weight * decay ** (s - 1) over all occurrences of an item s <= `steps` after another one of the same user.

    Args:
        store: The histories.
        steps: How far apart two interactions may be.
        decay: What each further step takes from an occurrence.
        weights: Of each interaction as the later one [R]; their type is that of the counts.

    Returns:
        A scipy CSR array [N + 1, N + 1], row: the earlier item.
    """
    from scipy.sparse import coo_array, csr_array

    size, items, users = len(store.item_vocabulary) + 1, np.asarray(store.items), store.row_users
    total = csr_array((size, size), dtype=weights.dtype)
    for step in range(1, steps + 1):
        for start in range(0, max(len(items) - step, 0), _ROWS_AT_ONCE):
            earlier = slice(start, min(start + _ROWS_AT_ONCE, len(items) - step))
            later = slice(earlier.start + step, earlier.stop + step)
            same = (users[earlier] == users[later]) & (items[earlier] != items[later])
            pairs = (items[earlier][same], items[later][same])
            values = (weights[later][same] * decay ** (step - 1)).astype(weights.dtype)
            total += coo_array((values, pairs), shape=(size, size)).tocsr()
    return total


def _highest(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """bool: the first `most` entries of each row by value, then column; rows ascend."""
    lengths = np.bincount(rows)
    kept = np.ones(len(rows), dtype=bool)
    long = np.flatnonzero(lengths[rows] > most)  # few rows have so many: only these are put in order
    order = long[np.lexsort((columns[long], -values[long], rows[long]))]
    ends = np.cumsum(lengths[lengths > most])
    places = np.arange(len(order)) - np.repeat(ends - lengths[lengths > most], lengths[lengths > most])
    kept[order[places >= most]] = False
    return kept


def recency_weights(times: np.ndarray, half_life: float) -> np.ndarray:
    """float32 [R]: 1 at the last of `times` (seconds), half of it for every `half_life` days before."""
    age = (times.max(initial=0) - times) / 86_400
    return np.exp2(-age / half_life).astype(np.float32)
