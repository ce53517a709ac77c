"""Which recommended items are in the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from recattn.errors import DataError, listed
from recattn.schema.columns import ITEM, RANK, SCORE


@dataclasses.dataclass(frozen=True)
class Matches:
    """Recommendations laid against the truth, request by request."""

    hits: np.ndarray  # bool [X, K] by rank, K = largest k or the longest list; False where a list ends
    truth_counts: np.ndarray  # int64 [X]
    items: np.ndarray  # int64 [M], by request and place: code of every recommendation's item, equal for equal items
    item_ids: pd.Index  # ids of those codes
    positions: np.ndarray  # int64 [M] its place in its list, from 0
    list_lengths: np.ndarray  # int64 [X]

    @property
    def requests(self) -> np.ndarray:
        """int64 [M] the request of every recommendation."""
        return np.repeat(np.arange(len(self.list_lengths)), self.list_lengths)


def match(recommendations: pd.DataFrame, truth: pd.DataFrame, key: str, requests: pd.Index, k: int) -> Matches:
    """Lay checked `recommendations` against checked `truth` for the unique `requests` [X] (values of `key`).

    Lists are ordered by `rank` (gaps close up) or, without that column, by `score` from high to low, equal
    scores in the order of the rows. Requests without recommendations have an empty list. Raises DataError for
    an item twice in one list or for equal ranks in one list.
    """
    rows = requests.get_indexer(pd.Index(recommendations[key]))
    items, item_ids = pd.factorize(recommendations[ITEM])
    order = _list_order(recommendations, key, rows)
    rows, items = rows[order], items.astype(np.int64)[order]
    _check_distinct(recommendations, key, order, rows * max(len(item_ids), 1) + items)

    lengths = np.bincount(rows, minlength=len(requests))
    positions = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

    truth_rows = requests.get_indexer(pd.Index(truth[key]))
    truth_items = item_ids.get_indexer(pd.Index(truth[ITEM]))
    wanted = (truth_rows * max(len(item_ids), 1) + truth_items)[truth_items >= 0]
    hit = pd.Series(rows * max(len(item_ids), 1) + items).isin(wanted).to_numpy()

    hits = np.zeros((len(requests), min(k, int(lengths.max(initial=0)))), dtype=bool)
    top = hit & (positions < k)
    hits[rows[top], positions[top]] = True
    return Matches(
        hits=hits,
        truth_counts=np.bincount(truth_rows, minlength=len(requests)),
        items=items,
        item_ids=pd.Index(item_ids),
        positions=positions,
        list_lengths=lengths,
    )


def _list_order(recommendations: pd.DataFrame, key: str, rows: np.ndarray) -> np.ndarray:
    """Row numbers of the recommendations by request, then place."""
    if RANK not in recommendations.columns:
        scores = recommendations[SCORE].to_numpy(dtype=np.float64)
        return np.lexsort((-scores, rows))
    ranks = recommendations[RANK].to_numpy(dtype=np.float64)
    order = np.lexsort((ranks, rows))
    same = (np.diff(rows[order]) == 0) & (np.diff(ranks[order]) == 0)
    if same.any():
        first = recommendations.iloc[order[1:][same]]
        raise DataError(
            f"recommendations.{RANK} repeats inside a list in {int(same.sum())} rows, for instance rank "
            f"{first[RANK].iloc[0]} of {key} {first[key].iloc[0]!r}. Rank each list 1, 2, 3, ..."
        )
    return order


def _check_distinct(recommendations: pd.DataFrame, key: str, order: np.ndarray, pairs: np.ndarray) -> None:
    twice = pd.Series(pairs).duplicated().to_numpy()
    if twice.any():
        rows = recommendations.iloc[order[twice][:5]]
        examples = list(zip(rows[key].tolist(), rows[ITEM].tolist(), strict=True))
        raise DataError(
            f"recommendations names an item twice in one list in {int(twice.sum())} rows, ({key}, {ITEM}): "
            f"{listed(examples)}. Keep one row of each."
        )
