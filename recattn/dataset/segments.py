"""What kind of request each is: how much is known of its user and of what it asks for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recattn.schema import columns as c

SHARES = (1 / 3, 2 / 3)


def segment_columns(truth: pd.DataFrame, visible: np.ndarray, fitted: pd.Series) -> pd.DataFrame:
    """One row a request, by `request_id`: the columns that `Split.segments` describes.

    Args:
        truth: `request_id` 0..X-1, `user_id`, `item_id`.
        visible: int64 [X] length of each request's history.
        fitted: The item of every interaction a model learned from.
    """
    counts = fitted.value_counts()
    targets = truth.drop_duplicates([c.REQUEST, c.ITEM])
    targets = targets.assign(count=targets[c.ITEM].map(counts).fillna(0).astype(np.float64))
    by_request = targets.groupby(c.REQUEST)
    popularity, cold = by_request["count"].mean(), by_request["count"].min() == 0
    head, mid = popularity_bounds(counts)
    band = np.select([cold, popularity >= head, popularity >= mid], ["cold", "head", "mid"], "tail")
    return pd.DataFrame(
        {
            c.REQUEST: popularity.index,
            c.USER: by_request[c.USER].first().array,
            c.HISTORY_LENGTH: visible[popularity.index],
            c.TARGET_POPULARITY: popularity.to_numpy(),
            c.COLD: cold.to_numpy(),
            c.POPULARITY: band,
        }
    )


def popularity_bounds(counts: pd.Series) -> tuple[float, float]:
    """From how many interactions on an item belongs to the head, and to the middle.

    Items taken from the most popular on, those that make the first third of all interactions are the head, those of
    the second third the middle, the rest the tail; items of equal counts go together, to the more popular side.

    Args:
        counts: int [N] interactions of each item.
    """
    ordered = np.sort(counts.to_numpy())[::-1]
    if not len(ordered):
        return 1.0, 1.0
    before = np.cumsum(ordered) - ordered  # interactions of the items above each
    last = [np.searchsorted(before, share * ordered.sum()) - 1 for share in SHARES]
    return float(ordered[last[0]]), float(ordered[last[1]])
