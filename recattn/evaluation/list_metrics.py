"""What lists are like whatever the truth is: how popular, how alike within themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from recattn.errors import DataError, listed
from recattn.evaluation.matching import Matches
from recattn.evaluation.metrics import AtK
from recattn.schema import check_ids
from recattn.schema.columns import ITEM


@runtime_checkable
class ListMetric(Protocol):
    """A metric of each list by itself; `evaluate` takes any object of this form."""

    @property
    def k(self) -> int:
        """Ranks that count."""

    @property
    def name(self) -> str:
        """Key of the metric in `Report.summary`."""

    def per_list(self, lists: Matches) -> np.ndarray:
        """float64 [X], NaN for lists that have no value: they are left out of the mean."""


@dataclasses.dataclass(frozen=True)
class _OfPopularity(AtK):
    popularity: Mapping[Any, float] | pd.Series = dataclasses.field(repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = pd.Series(self.popularity)  # type: ignore[arg-type]
        if not pd.api.types.is_numeric_dtype(counts.dtype) or not counts.sum() > 0 or (counts < 0).any():
            raise DataError(
                f"{type(self).__name__}: popularity must be the interactions of each item, such as "
                "train['item_id'].value_counts(), with some above 0 and none below."
            )
        object.__setattr__(self, "popularity", _by_item(counts, f"{type(self).__name__}: popularity"))

    def _counts(self, lists: Matches) -> np.ndarray:
        """float64 [items of the lists] interactions of each, 0 for those that have none."""
        rows = _rows_of(lists, self.popularity.index, f"{self.name}: popularity")  # type: ignore[union-attr]
        return np.where(rows < 0, 0.0, self.popularity.to_numpy(np.float64)[rows])  # type: ignore[union-attr]


@dataclasses.dataclass(frozen=True)
class AveragePopularity(_OfPopularity):
    """Mean interactions of the items among the first `k` (ARP); an item not in `popularity` has 0.

    Attributes:
        k: Ranks that count.
        popularity: Interactions in the training part by item, such as `train["item_id"].value_counts()`.

    Source: Yin et al. (2012), Challenging the long tail recommendation; average recommendation popularity.
    """

    stem: ClassVar[str] = "average_popularity"

    def per_list(self, lists: Matches) -> np.ndarray:
        return _means(self._counts(lists), lists, self.k)


@dataclasses.dataclass(frozen=True)
class Novelty(_OfPopularity):
    """Mean self-information -log2 p of the items among the first `k`, in bits.

    p is the item's share of all interactions. An item without any counts as if it had one, for its own would be
    infinite.

    Attributes:
        k: Ranks that count.
        popularity: Interactions in the training part by item, such as `train["item_id"].value_counts()`.

    Source: Vargas and Castells (2011), Rank and relevance in novelty and diversity metrics (free discovery, without
    discounts of rank or relevance).
    """

    stem: ClassVar[str] = "novelty"

    def per_list(self, lists: Matches) -> np.ndarray:
        total = self.popularity.sum()  # type: ignore[union-attr]
        return _means(-np.log2(np.maximum(self._counts(lists), 1) / total), lists, self.k)


@dataclasses.dataclass(frozen=True)
class IntraListDiversity(AtK):
    """1 - the mean cosine of all pairs among the first `k`.

    Items without features (absent, null, all zeros) are left out; lists with fewer than two others have no value.

    Attributes:
        k: Ranks that count.
        features: By item: a DataFrame of numbers, each row a vector; or a Series of categories, one each (two items of
            one category have cosine 1, of two 0), or several: lists of them, or texts with `separator`.
        separator: Between the categories of one text, such as `|`; None takes a text as one category.

    Source: Smyth and McClave (2001), Similarity vs. diversity; Ziegler et al. (2005), Improving recommendation lists
    through topic diversification (its intra-list similarity is the sum where this is a mean).
    """

    features: pd.DataFrame | pd.Series = dataclasses.field(repr=False, compare=False)
    separator: str | None = dataclasses.field(default=None, repr=False, compare=False)
    stem: ClassVar[str] = "intra_list_diversity"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.features, pd.DataFrame | pd.Series):
            raise DataError(
                "IntraListDiversity: features must be a DataFrame of numbers or a Series of categories by item, such "
                f"as items.set_index('item_id')['genres'], got {type(self.features).__name__}."
            )
        object.__setattr__(self, "features", _by_item(self.features, "IntraListDiversity: features"))
        object.__setattr__(self, "_vectors", _unit_vectors(self.features, self.separator))

    def per_list(self, lists: Matches) -> np.ndarray:
        from scipy.sparse import csr_array

        rows = _rows_of(lists, self.features.index, f"{self.name}: features")[lists.items]
        kept = (lists.positions < self.k) & (rows >= 0)
        vectors: Any = self._vectors  # type: ignore[attr-defined]
        kept[kept] = vectors.has[rows[kept]]
        requests, rows = lists.requests[kept], rows[kept]
        shape = (len(lists.list_lengths), len(self.features))
        sums = csr_array((np.ones(len(rows)), (requests, rows)), shape=shape) @ vectors.matrix
        counts = np.bincount(requests, minlength=shape[0])
        pairs = counts * (counts - 1)
        squares = np.asarray((sums * sums).sum(axis=1)).ravel()  # |sum of n unit vectors|^2 = n + sum of cosines
        return np.where(pairs > 0, 1 - (squares - counts) / np.maximum(pairs, 1), np.nan)


@dataclasses.dataclass(frozen=True)
class _Vectors:
    matrix: Any  # float64 [items, features], dense or sparse, rows of length 1 or 0
    has: np.ndarray  # bool [items], whether the row has length 1


def _unit_vectors(features: pd.DataFrame | pd.Series, separator: str | None) -> _Vectors:
    from scipy.sparse import csr_array, diags_array

    if isinstance(features, pd.DataFrame):
        wrong = [name for name in features if not pd.api.types.is_numeric_dtype(features[name].dtype)]
        if wrong:
            raise DataError(
                f"IntraListDiversity: features has columns that are no numbers: {listed(wrong)}. Pass one column of "
                "categories as a Series, or numbers only."
            )
        matrix: Any = features.to_numpy(np.float64, na_value=0.0)
    else:
        values = features.reset_index(drop=True)
        split = values.str.split(separator, regex=False) if separator is not None else values
        pairs = split.explode().dropna()
        pairs = pairs[~pd.DataFrame({"row": pairs.index, "value": pairs.array}).duplicated().to_numpy()]
        codes, found = pd.factorize(pairs)
        matrix = csr_array((np.ones(len(pairs)), (pairs.index, codes)), shape=(len(values), max(len(found), 1)))
    lengths = np.sqrt(np.asarray((matrix * matrix).sum(axis=1)).ravel())
    return _Vectors(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ matrix, lengths > 0)


def _by_item(values: Any, what: str) -> Any:
    """`values` (a Series or DataFrame by item) under plain ids; DataError where an item is there twice."""
    ids = pd.Index(check_ids(values.index.to_series().reset_index(drop=True), ITEM, what))
    if not ids.is_unique:
        raise DataError(f"{what} has {listed(ids[ids.duplicated()].unique().tolist())} more than once.")
    return values.set_axis(ids)


def _rows_of(lists: Matches, known: pd.Index, what: str) -> np.ndarray:
    """int64 [items of the lists] the row of each in `known`, -1 for none; DataError where all have none."""
    rows = known.get_indexer(lists.item_ids)
    if len(rows) and (rows < 0).all():
        raise DataError(
            f"{what} has none of the {len(rows)} items recommended: it is like {listed(known[:3].tolist())}, they are "
            f"like {listed(lists.item_ids[:3].tolist())}. Pass ids of the same kind."
        )
    return rows


def _means(values: np.ndarray, lists: Matches, k: int) -> np.ndarray:
    """float64 [X] the mean of `values` (of items) over the first `k` of each list, NaN for empty lists."""
    top = lists.positions < k
    sums = np.bincount(lists.requests[top], weights=values[lists.items[top]], minlength=len(lists.list_lengths))
    counts = np.minimum(lists.list_lengths, k)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
