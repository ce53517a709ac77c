"""The features of one frame: what was learned on its training rows turns any like frame into arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.dataset.feature_arrays import FIRST_KNOWN, FeatureArrays
from recattn.dataset.fitted_feature import FittedFeature
from recattn.errors import ConfigError, DataError, listed, nearest

__all__ = ["Cardinalities", "FeatureArrays", "FittedFeature", "FittedFeatures"]


class Cardinalities(NamedTuple):
    """Rows the embedding tables need, missing (0) and unseen (1) among them: one number a feature."""

    categorical: tuple[int, ...]
    multi: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class FittedFeatures:
    """How the feature columns of a frame become arrays. `what` names it: items, users, context."""

    what: str
    features: tuple[FittedFeature, ...] = ()

    @classmethod
    def fit(cls, specs: Sequence[FeatureSpec], frame: pd.DataFrame, *, what: str, rows: Any = None) -> FittedFeatures:
        """Learn from `rows` (bool [n]: the training rows; None: all) of the frame, which is not changed.

        Raises:
            ConfigError: Something is not a spec, or two specs name one column.
            DataError: A column is missing, or its values do not suit its spec.
        """
        check_specs(specs, what)
        for spec in specs:
            if spec.column not in frame.columns:
                raise DataError(
                    f"{what} has no column {spec.column!r} for the feature {spec}; it has "
                    f"{listed(frame.columns, 20)}.{nearest(spec.column, frame.columns)}"
                )
        if rows is not None:
            frame = frame[np.asarray(rows, dtype=bool)]
        return cls(what, tuple(FittedFeature.fit(s, frame[s.column], _where(s.column, what)) for s in specs))

    @property
    def specs(self) -> tuple[FeatureSpec, ...]:
        return tuple(feature.spec for feature in self.features)

    @property
    def cardinalities(self) -> Cardinalities:
        categorical, multi = self._of(Categorical), self._of(Multi)
        return Cardinalities(
            tuple(len(one.values) + FIRST_KNOWN for one in categorical),
            tuple(len(one.values) + FIRST_KNOWN for one in multi),
        )

    @property
    def num_numeric(self) -> int:
        """Numeric features Fn; their array has 2 Fn columns."""
        return len(self._of(Numeric))

    def any_in(self, frame: pd.DataFrame) -> bool:
        """Whether the frame has any of the columns."""
        return any(spec.column in frame.columns for spec in self.specs)

    def check_same(self, frame: pd.DataFrame) -> None:
        """Refuse a frame that lacks a column the model was fitted with; further columns are left alone.

        Raises:
            DataError: Names the columns that are not there.
        """
        lost = [spec.column for spec in self.specs if spec.column not in frame.columns]
        if lost:
            raise DataError(
                f"{self.what} has features that differ from the model's: no column {listed(lost)} with which "
                f"the model was fitted; it has {listed(frame.columns, 20)}.{nearest(lost[0], frame.columns)}"
            )

    def transform(self, frame: pd.DataFrame) -> FeatureArrays:
        """The features of every row of the frame, in its order.

        Raises:
            DataError: A column is missing, or its values do not suit its spec.
        """
        self.check_same(frame)

        def column(one: FittedFeature) -> tuple[pd.Series, str]:
            return frame[one.spec.column], _where(one.spec.column, self.what)

        codes = [one.categorical(*column(one)) for one in self._of(Categorical)]
        pairs = [one.numeric(*column(one)) for one in self._of(Numeric)]
        return FeatureArrays(
            _side_by_side(codes, len(frame), np.int32),
            tuple(one.multi(*column(one)) for one in self._of(Multi)),
            _side_by_side([half for pair in pairs for half in pair], len(frame), np.float32),
        )

    def missing(self, n: int) -> FeatureArrays:
        """`n` rows in which everything is missing: for a table that has no frame."""
        empty = FeatureArrays(
            np.empty((0, len(self._of(Categorical))), np.int32),
            tuple((np.empty(0, np.int32), np.zeros(1, np.int64)) for _ in self._of(Multi)),
            np.empty((0, 2 * self.num_numeric), np.float32),
        )
        return empty.missing(n)

    def to_dict(self) -> dict[str, Any]:
        """Everything learned, as JSON values."""
        return {"what": self.what, "features": [one.to_dict() for one in self.features]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FittedFeatures:
        """What `to_dict` gave.

        Raises:
            ArtifactError: A feature is of a kind this version does not know.
        """
        return cls(saved["what"], tuple(map(FittedFeature.from_dict, saved["features"])))

    def _of(self, kind: type[FeatureSpec]) -> list[FittedFeature]:
        return [one for one in self.features if isinstance(one.spec, kind)]


def check_specs(specs: Sequence[FeatureSpec], what: str) -> None:
    """ConfigError unless `specs` is a list of features that name different columns; `what` they are of opens it."""
    if isinstance(specs, FeatureSpec | str):
        raise ConfigError(f"the features of {what} must be a list, got {specs!r}. Write [{specs!r}].")
    for spec in specs:
        if not isinstance(spec, Categorical | Multi | Numeric):
            raise ConfigError(
                f"the features of {what} hold {spec!r}, which is not a feature. Write Categorical, Multi or "
                f"Numeric around the column, like Categorical({spec!r})."
            )
    columns = [spec.column for spec in specs]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise ConfigError(f"the features of {what} name {listed(repeated)} twice. Keep one feature a column.")


def _side_by_side(columns: list[np.ndarray], n: int, kind: type[np.generic]) -> np.ndarray:
    return np.stack(columns, axis=1).astype(kind) if columns else np.empty((n, 0), dtype=kind)


def _where(column: str, what: str) -> str:
    return f"feature {column!r} of {what}"
