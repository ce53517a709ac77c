"""The encoded features of a table: one row an item, a user or a request."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

MISSING = 0
UNSEEN = 1
FIRST_KNOWN = 2

Ragged = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureArrays:
    """Features of n rows, columns in the order of their specs.

    Codes: 0 = missing, 1 = a value that was not there when the features were fitted, 2.. = known values.
    """

    categorical: np.ndarray  # int32 [n, Fc] codes
    multi: tuple[Ragged, ...]  # one (values int32 [M] codes, offsets int64 [n + 1]) a Multi; missing: empty
    numeric: np.ndarray  # float32 [n, 2 Fn]: a pair a Numeric: value (0 where missing), missing 1 or 0

    def __len__(self) -> int:
        return len(self.categorical)

    def take(self, rows: Any) -> FeatureArrays:
        """The features of `rows` int [m], repeats allowed; -1 gives a row in which everything is missing."""
        rows = np.asarray(rows, dtype=np.int64)
        known = rows >= 0
        categorical = np.full((len(rows), self.categorical.shape[1]), MISSING, dtype=np.int32)
        categorical[known] = self.categorical[rows[known]]
        numeric = np.zeros((len(rows), self.numeric.shape[1]), dtype=np.float32)
        numeric[:, 1::2] = 1
        numeric[known] = self.numeric[rows[known]]
        return FeatureArrays(categorical, tuple(take_ragged(*pair, rows) for pair in self.multi), numeric)

    def missing(self, n: int) -> FeatureArrays:
        """`n` rows of the same columns in which everything is missing."""
        return self.take(np.full(n, -1))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for `from_arrays`."""
        arrays = {"categorical": self.categorical, "numeric": self.numeric}
        for index, (values, offsets) in enumerate(self.multi):
            arrays |= {f"multi.{index}.values": values, f"multi.{index}.offsets": offsets}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> FeatureArrays:
        """What `to_arrays` gave; other names are left alone."""
        count = sum(name.startswith("multi.") and name.endswith(".values") for name in arrays)
        multi = ((arrays[f"multi.{index}.values"], arrays[f"multi.{index}.offsets"]) for index in range(count))
        return cls(arrays["categorical"], tuple(multi), arrays["numeric"])


def take_ragged(values: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> Ragged:
    """Rows of a ragged array (`values` [M], `offsets` [n + 1]) as a new one; row -1 is empty."""
    lengths = np.where(rows >= 0, offsets[rows + 1] - offsets[rows], 0)
    taken = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    index = np.repeat(offsets[rows] - taken[:-1], lengths) + np.arange(taken[-1])
    return values[index], taken
