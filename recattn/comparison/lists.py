"""How much the lists of contenders have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from recattn.comparison.contender import Contender
from recattn.schema.columns import ITEM, RANK

PERSISTENCE = 0.9  # of rank-biased overlap: the first 10 places have 86 % of the weight
_MOST_REQUESTS = 20_000
_SHOWN = 5
_TOP = 20


@dataclasses.dataclass(frozen=True)
class Lists:
    """The first k places of several contenders for the same requests."""

    items: Mapping[str, np.ndarray]  # int64 [X, k] by contender; -1 where a list ends
    index: pd.Index  # [X] requests
    names: pd.Index  # item of each code
    sampled: int  # requests there are in all

    @classmethod
    def of(cls, contenders: Sequence[Contender], index: pd.Index, k: int, seed: int) -> Lists | None:
        """None where fewer than two contenders keep lists. Of very many requests a sample is taken."""
        having = {one.name: one.recommendations for one in contenders if one.recommendations is not None}
        if len(having) < 2:
            return None
        key, total = str(contenders[0].report.policy["key"]), len(index)
        if total > _MOST_REQUESTS:
            index = index[np.sort(np.random.default_rng(seed).choice(total, _MOST_REQUESTS, replace=False))]
        kept = {}
        for name, frame in having.items():
            rows = index.get_indexer(pd.Index(frame[key]))
            frame = frame.assign(_row=rows)[rows >= 0].sort_values(["_row", RANK], kind="stable")
            frame["_place"] = frame.groupby("_row").cumcount()
            kept[name] = frame[frame["_place"] < k]
        texts = pd.concat([frame[ITEM].astype(str) for frame in kept.values()])
        codes, names = pd.factorize(texts)
        items, start = {}, 0
        for name, frame in kept.items():
            places = np.full((len(index), k), -1, dtype=np.int64)
            places[frame["_row"], frame["_place"]] = codes[start : start + len(frame)]
            items[name], start = places, start + len(frame)
        return cls(items, index, pd.Index(names), total)

    def pairs(self) -> pd.DataFrame:
        """Every two contenders: `overlap` (Jaccard), `rbo` (rank-biased overlap), `same_first` (equal first item)."""
        rows = []
        for one in self.items:
            for other in self.items:
                first, second = self.items[one], self.items[other]
                agree = agreements(first, second)
                rows.append(
                    {
                        "first": one,
                        "second": other,
                        "overlap": float(np.nanmean(jaccard(first, second))),
                        "rbo": float(np.nanmean(rank_biased_overlap(agree))),
                        "same_first": float(((first[:, 0] == second[:, 0]) & (first[:, 0] >= 0)).mean()),
                    }
                )
        return pd.DataFrame(rows)

    def exposure(self) -> pd.DataFrame:
        """What each contender shows: distinct `items`, how even (`effective_items`), how much the most shown take.

        `effective_items` is the exponential of the entropy of exposure: so many items shown equally often would be as
        even. `top_share` is the share of all places that the 20 items take which this contender shows most. `new` is
        the share of places given to items that the first contender never shows.
        """
        rows, first = [], None
        for name, places in self.items.items():
            shown = places[places >= 0]
            counts = np.bincount(shown, minlength=len(self.names))
            first = counts if first is None else first
            shares = counts[counts > 0] / max(len(shown), 1)
            rows.append(
                {
                    "contender": name,
                    "items": int((counts > 0).sum()),
                    "effective_items": float(np.exp(-(shares * np.log(shares)).sum())),
                    "top_share": float(np.sort(shares)[::-1][:_TOP].sum()),
                    "new": float(counts[first == 0].sum() / max(len(shown), 1)),
                    "list_length": float((places >= 0).sum(axis=1).mean()),
                }
            )
        return pd.DataFrame(rows)

    def popularity(self, counts: Mapping[str, float]) -> pd.Series:
        """By contender, the mean over all places of the item's number in `counts` (0 where it has none)."""
        weights = pd.Series(counts, dtype=np.float64).reindex(self.names).fillna(0.0).to_numpy()
        return pd.Series({name: float(weights[items[items >= 0]].mean()) for name, items in self.items.items()})

    def most_changed(self, contender: str, reference: str, differences: pd.Series) -> pd.DataFrame:
        """The requests whose lists agree least, those with the larger change of the metric first among equals.

        `differences` is the change of the metric by request.
        """
        ours, theirs = self.items[contender], self.items[reference]
        both = (ours[:, 0] >= 0) & (theirs[:, 0] >= 0)
        rbo = rank_biased_overlap(agreements(ours, theirs))
        moved = differences.reindex(self.index).to_numpy()
        order = np.lexsort((-np.abs(moved), np.round(rbo, 6), ~both))[: min(_SHOWN, int(both.sum()))]
        return pd.DataFrame(
            {
                "contender": contender,
                "request": self.index[order].astype(str),
                "rbo": rbo[order],
                "difference": moved[order],
                "reference_items": [self._texts(theirs[row]) for row in order],
                "items": [self._texts(ours[row]) for row in order],
            }
        )

    def _texts(self, places: np.ndarray) -> list[str]:
        return self.names[places[places >= 0]].tolist()


def jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 [X]: shared items over all items of two lists [X, k]; NaN where both are empty."""
    shared = sum(_found(first[:, place], second) for place in range(first.shape[1]))
    either = (first >= 0).sum(axis=1) + (second >= 0).sum(axis=1) - shared
    return np.asarray(shared / np.where(either > 0, either, np.nan))


def agreements(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 [X, k]: of the first d places of both lists, the share that is shared; NaN where both are empty."""
    shared = np.zeros(first.shape, dtype=np.float64)
    for place in range(first.shape[1]):
        now, before = slice(None, place + 1), slice(None, place)
        shared[:, place] = _found(first[:, place], second[:, now]) + _found(second[:, place], first[:, before])
    lengths = (first >= 0).cumsum(axis=1) + (second >= 0).cumsum(axis=1)
    return np.asarray(2 * shared.cumsum(axis=1) / np.where(lengths > 0, lengths, np.nan))


def rank_biased_overlap(agreement: np.ndarray, p: float = PERSISTENCE) -> np.ndarray:
    """float64 [X]: RBO of lists that agree by `agreement` [X, k], taken on beyond k as at k; 1 for equal lists.

    Source: Webber, Moffat and Zobel (2010), A similarity measure for indefinite rankings, equation 30.
    """
    depth = agreement.shape[1]
    weights = (1 - p) * p ** np.arange(depth)
    return np.asarray(agreement @ weights + agreement[:, -1] * p**depth)


def _found(items: np.ndarray, places: np.ndarray) -> np.ndarray:
    """float64 [X]: 1 where the item [X] is among the places [X, d]."""
    return ((items[:, None] == places) & (items[:, None] >= 0)).any(axis=1).astype(np.float64)
