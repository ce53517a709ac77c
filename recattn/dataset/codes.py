"""Codes of ids that are met piece by piece."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from recattn.dataset.vocabulary import Vocabulary, plain


class Codes:
    """A vocabulary that grows at its end: ids get the next code when they are first seen, and keep it.

    Args:
        name: What the ids name.
        ids: Those known already, in code order.
        fixed: Whether it stays as it is; other ids then have code 0.
    """

    def __init__(self, name: str, ids: Iterable[Any] = (), *, fixed: bool = False) -> None:
        self.name, self.fixed = name, fixed
        self._codes: dict[Any, int] = {value: code for code, value in enumerate(pd.Index(ids).tolist(), 1)}

    def __len__(self) -> int:
        return len(self._codes)

    def encode(self, values: pd.Series) -> np.ndarray:
        """Codes int32 [n] of `values` [n]; 0 for nulls, and for unknown ids of a fixed vocabulary."""
        places, distinct = pd.factorize(plain(values))
        ids = pd.Index(distinct).tolist()
        known = self._codes
        if self.fixed:
            table = [known.get(value, 0) for value in ids]
        else:
            table = [known.setdefault(value, len(known) + 1) for value in ids]
        return np.array([*table, 0], dtype=np.int32)[places]

    def sample(self) -> pd.Series:
        """One of its ids, to compare kinds with."""
        return pd.Series(list(islice(self._codes, 1)))

    def vocabulary(self) -> Vocabulary:
        """What it is by now."""
        return Vocabulary(self.name, list(self._codes))
