"""The best columns of a score matrix, ties decided."""

from __future__ import annotations

import numpy as np


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns int64 [X, k'] of the k' = min(k, C) highest of `scores` float32 [X, C], and their scores [X, k'].

    Best first; equal scores in the order of columns. -inf marks what may not be taken: places left over hold
    column -1 with score -inf. `scores` holds no NaN.
    """
    n, width = scores.shape
    k = min(k, width)
    columns = np.full((n, k), -1, dtype=np.int64)
    best = np.full((n, k), -np.inf, dtype=np.float32)
    if k == 0 or n == 0:
        return columns, best
    worst = np.partition(scores, width - k, axis=1)[:, width - k]
    rows, taken = np.nonzero((scores >= worst[:, None]) & (scores > -np.inf))  # more than k where ties cross k
    values = scores[rows, taken]
    order = np.lexsort((-values, rows))  # stable: equal scores stay in the order of columns
    counts = np.bincount(rows, minlength=n)
    places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order, places = order[places < k], places[places < k]
    columns[rows[order], places] = taken[order]
    best[rows[order], places] = values[order]
    return columns, best
