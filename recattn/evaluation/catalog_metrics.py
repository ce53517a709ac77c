"""What all lists together do with the catalog, one number an evaluation."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from recattn.errors import DataError
from recattn.evaluation.metrics import AtK


@runtime_checkable
class CatalogMetric(Protocol):
    """A metric of all lists at once; it has no value a request."""

    @property
    def k(self) -> int:
        """Ranks that count."""

    @property
    def name(self) -> str:
        """Key of the metric in `Report.summary`."""

    def of_catalog(self, items: np.ndarray, positions: np.ndarray, catalog_size: int) -> float:
        """From `items` int [M], codes of all recommended items, and `positions` int [M], their places from 0.

        Codes below 0 (not in the catalog) do not count. Raises DataError when more items than the catalog
        holds were recommended.
        """


@dataclasses.dataclass(frozen=True)
class Coverage(AtK):
    """Share of the catalog that is in the first `k` of at least one request."""

    stem: ClassVar[str] = "coverage"

    def of_catalog(self, items: np.ndarray, positions: np.ndarray, catalog_size: int) -> float:
        return len(_exposures(self, items, positions, catalog_size)) / catalog_size


@dataclasses.dataclass(frozen=True)
class Gini(AtK):
    """How unevenly the first `k` of all lists are spread over the catalog: 0 for all items alike, near 1 for a few.

    With exposures x_1 <= ... <= x_N of all N items of the catalog, those never recommended among them:
    sum over i of (2 i - N - 1) x_i / (N sum x); one item alone gives (N - 1) / N. NaN without recommendations.

    Source: Fleder and Hosanagar (2009), Blockbuster culture's next rise or fall.
    """

    stem: ClassVar[str] = "gini"

    def of_catalog(self, items: np.ndarray, positions: np.ndarray, catalog_size: int) -> float:
        found = np.sort(_exposures(self, items, positions, catalog_size))
        if not len(found):
            return float("nan")
        ranks = np.arange(catalog_size - len(found) + 1, catalog_size + 1)  # those never recommended come first
        return float(((2 * ranks - catalog_size - 1) * found).sum() / (catalog_size * found.sum()))


def _exposures(metric: AtK, items: np.ndarray, positions: np.ndarray, catalog_size: int) -> np.ndarray:
    """int64 [<= catalog_size]: how many lists have each item that some list has."""
    found = np.unique(items[(positions < metric.k) & (items >= 0)], return_counts=True)[1]
    if len(found) > catalog_size:
        raise DataError(
            f"{metric.name}: {len(found)} items were recommended, more than catalog_size={catalog_size}. "
            "Pass the size of the catalog the model ranked, or catalog=its items."
        )
    return found
