"""One feature column with what was learned for it on the training rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.dataset.feature_arrays import FIRST_KNOWN, MISSING, UNSEEN, Ragged
from recattn.dataset.feature_values import Value, numbers_of, several_values, single_values
from recattn.errors import ArtifactError, DataError, listed

_KINDS: dict[str, type[FeatureSpec]] = {"categorical": Categorical, "multi": Multi, "numeric": Numeric}


@dataclasses.dataclass(frozen=True)
class FittedFeature:
    """`where` names the column in messages. Values are compared as Python does: 3 equals 3.0, "3" is text."""

    spec: FeatureSpec
    values: tuple[Value, ...] = ()  # values[i] has code i + 2; sorted, numbers before text
    mean: float = 0.0  # of a Numeric, after the logarithm
    std: float = 1.0

    @classmethod
    def fit(cls, spec: FeatureSpec, column: pd.Series, where: str) -> FittedFeature:
        """Learn from all rows of `column`. A deviation of 0 counts as 1, an empty column as mean 0."""
        if isinstance(spec, Numeric):
            return cls(spec, (), *_moments(spec, numbers_of(column, where)))
        if isinstance(spec, Multi):
            values, _ = several_values(column, spec.separator, where)
        else:
            values, _ = single_values(column, where)
        return cls(spec, tuple(sorted(values, key=lambda value: (isinstance(value, str), value))))

    def categorical(self, column: pd.Series, where: str) -> np.ndarray:
        """Codes int32 [n] of a Categorical."""
        values, places = single_values(column, where)
        return self._codes_of(values, where)[places]

    def multi(self, column: pd.Series, where: str) -> Ragged:
        """Codes int32 [M] of a Multi with their offsets int64 [n + 1]."""
        assert isinstance(self.spec, Multi)
        values, (places, offsets) = several_values(column, self.spec.separator, where)
        return self._codes_of(values, where)[places], offsets

    def numeric(self, column: pd.Series, where: str) -> tuple[np.ndarray, np.ndarray]:
        """Values float64 [n] of a Numeric, 0 where missing, beside where they are missing bool [n]."""
        assert isinstance(self.spec, Numeric)
        numbers = _scaled(self.spec, numbers_of(column, where))
        missing = np.isnan(numbers)
        return np.where(missing, 0, (numbers - self.mean) / self.std), missing

    def to_dict(self) -> dict[str, Any]:
        """JSON values; floats survive exactly."""
        kind = next(name for name, spec in _KINDS.items() if isinstance(self.spec, spec))
        learned = {"mean": self.mean, "std": self.std} if kind == "numeric" else {"values": list(self.values)}
        return {"kind": kind, **dataclasses.asdict(self.spec), **learned}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FittedFeature:
        """What `to_dict` gave.

        Raises:
            ArtifactError: The feature is of a kind this version does not know.
        """
        spec = dict(saved)
        kind = spec.pop("kind")
        if kind not in _KINDS:
            raise ArtifactError(f"a saved feature is of kind {kind!r}; this version knows {listed(_KINDS)}.")
        learned = {key: spec.pop(key) for key in ("mean", "std") if key in spec}
        values = tuple(spec.pop("values", ()))
        return cls(_KINDS[kind](**spec), values, **learned)

    @cached_property
    def _codes(self) -> dict[Value, int]:
        return {value: code for code, value in enumerate(self.values, start=FIRST_KNOWN)}

    def _codes_of(self, values: list[Value], where: str) -> np.ndarray:
        here, known = ({isinstance(value, str) for value in group} for group in (values, self.values))
        if here and known and not here & known:
            words = {True: "text", False: "numbers"}
            raise DataError(
                f"{where} holds {words[here.pop()]} (like {values[0]!r}) but held {words[known.pop()]} (like "
                f"{self.values[0]!r}) when the model was fitted: features that differ from the model's. "
                "Convert the column."
            )
        codes = [self._codes.get(value, UNSEEN) for value in values]
        return np.array([*codes, MISSING], dtype=np.int32)  # the last is for place -1


def _moments(spec: Numeric, numbers: np.ndarray) -> tuple[float, float]:
    numbers = _scaled(spec, numbers[~np.isnan(numbers)])
    if not spec.standardize or not len(numbers):
        return 0.0, 1.0
    if numbers.min() == numbers.max():  # rounding of the mean could leave a tiny deviation
        return float(numbers[0]), 1.0
    return float(numbers.mean()), float(numbers.std())


def _scaled(spec: Numeric, numbers: np.ndarray) -> np.ndarray:
    return np.sign(numbers) * np.log1p(np.abs(numbers)) if spec.log else numbers
