"""The attributes of items by code, those of users by row."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import FeatureSpec
from recattn.dataset.features import FeatureArrays, FittedFeatures
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, listed
from recattn.schema import DataWarning
from recattn.schema.columns import AVAILABLE_FROM, ITEM, USER

COLD_ROW = 1
FIRST_TRAINED_ROW = 2


@dataclasses.dataclass(frozen=True, eq=False)
class ItemTable:
    """What is known of every item code: 0 = padding, 1..N = the catalog (items frame and training items)."""

    vocabulary: Vocabulary
    id_row: np.ndarray  # int32 [N + 1] row of the id embedding: 0 padding, 1 all cold items, 2.. trained items
    features: FeatureArrays  # [N + 1] rows; of padding and of items without a row in the frame all is missing
    recommendable: np.ndarray  # bool [N + 1] has training events or a row in the items frame
    available_from: np.ndarray | None  # int64 [N + 1] s UTC, 0 where unknown; None: the frame does not tell
    fitted: FittedFeatures

    @classmethod
    def build(
        cls,
        vocabulary: Vocabulary,
        *,
        trained: np.ndarray,
        items: pd.DataFrame | None = None,
        specs: Sequence[FeatureSpec] = (),
    ) -> ItemTable:
        """A table with features learned on the trained items' rows of the frame.

        Args:
            vocabulary: The catalog. Rows of the frame whose item is not in it are left alone.
            trained: The items with training events: bool [N + 1] by code, or their codes.
            items: As `read_items` gives it: each item at most once.
            specs: Features to learn.

        Raises:
            ConfigError: There are specs but no frame.
            DataError: A feature column is missing, or its values do not suit its spec.

        Warns:
            DataWarning: Items of the catalog have no row in the frame: all their features are missing.
        """
        is_trained = _as_mask(trained, len(vocabulary) + 1)
        id_row = np.where(is_trained, np.cumsum(is_trained) + FIRST_TRAINED_ROW - 1, COLD_ROW)
        id_row[0] = 0
        if items is None:
            _need_no_frame(specs, "item")
            fitted = FittedFeatures("items")
            features, recommendable, available_from = fitted.missing(len(id_row)), is_trained, None
        else:
            codes = vocabulary.encode(items[ITEM])
            fitted = FittedFeatures.fit(specs, items, what="items", rows=is_trained[np.maximum(codes, 0)])
            row_of = np.full(len(id_row), -1)
            row_of[codes[codes > 0]] = np.flatnonzero(codes > 0)
            features = fitted.transform(items).take(row_of)
            recommendable = is_trained | (row_of >= 0)
            available_from = _available_from(items, row_of)
            if specs:
                _tell_missing(vocabulary, row_of)
        return cls(vocabulary, id_row.astype(np.int32), features, recommendable, available_from, fitted)

    def __len__(self) -> int:
        """Codes, padding among them: N + 1."""
        return len(self.id_row)

    @property
    def num_id_rows(self) -> int:
        """Rows of the id embedding: padding, the cold row, and one a trained item."""
        return max(int(self.id_row.max()) + 1, FIRST_TRAINED_ROW)

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All but the vocabulary, as arrays by name beside JSON values."""
        arrays = {f"features.{name}": array for name, array in self.features.to_arrays().items()}
        arrays |= {"id_row": self.id_row, "recommendable": self.recommendable}
        if self.available_from is not None:
            arrays["available_from"] = self.available_from
        return arrays, {"features": self.fitted.to_dict()}

    @classmethod
    def from_arrays(
        cls, vocabulary: Vocabulary, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> ItemTable:
        """What `to_arrays` gave, with the vocabulary it was built on."""
        prefix = "features."
        features = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        return cls(
            vocabulary,
            arrays["id_row"],
            FeatureArrays.from_arrays(features),
            arrays["recommendable"],
            arrays.get("available_from"),
            FittedFeatures.from_dict(values["features"]),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class UserTable:
    """Attributes of the users of one frame. Only `fitted` is ever saved: a model holds no users."""

    users: Vocabulary
    features: FeatureArrays  # [U] rows in the order of the frame
    fitted: FittedFeatures

    @classmethod
    def build(
        cls,
        frame: pd.DataFrame | None,
        features: FittedFeatures | Sequence[FeatureSpec],
        *,
        trained: Any = None,
    ) -> UserTable:
        """A table of the frame's users.

        Args:
            frame: As `read_users` gives it: each user once. None knows nobody.
            features: What a model learned; or specs, to learn on the rows of the `trained` users.
            trained: Ids of the users with training events; None learns on all rows.

        Raises:
            ConfigError: There are specs but no frame.
            DataError: A feature column is missing, or its values do not suit its spec.
        """
        if frame is None:
            if not isinstance(features, FittedFeatures):
                _need_no_frame(features, "user")
                features = FittedFeatures("users")
            return cls(Vocabulary(USER, []), features.missing(0), features)
        users = Vocabulary(USER, frame[USER])
        if not isinstance(features, FittedFeatures):
            rows = None if trained is None else Vocabulary.from_values(USER, trained).encode(frame[USER]) > 0
            features = FittedFeatures.fit(features, frame, what="users", rows=rows)
        return cls(users, features.transform(frame), features)

    def __len__(self) -> int:
        return len(self.users)

    def rows(self, user_ids: Any) -> np.ndarray:
        """The row of each user int64 [n], -1 where the frame has none: what `features.take` takes."""
        codes = self.users.encode(user_ids).astype(np.int64)
        return np.where(codes > 0, codes - 1, -1)


def _as_mask(trained: np.ndarray, n: int) -> np.ndarray:
    trained = np.asarray(trained)
    mask = np.zeros(n, dtype=bool)
    mask[trained if trained.dtype == bool else trained[trained > 0].astype(np.int64)] = True
    mask[0] = False
    return mask


def _available_from(items: pd.DataFrame, row_of: np.ndarray) -> np.ndarray | None:
    if AVAILABLE_FROM not in items.columns:
        return None
    seconds = np.append(items[AVAILABLE_FROM].to_numpy(dtype=np.int64), 0)  # the last is for row -1
    return seconds[row_of]


def _need_no_frame(specs: Sequence[FeatureSpec], kind: str) -> None:
    if specs:
        names = listed([spec.column for spec in specs])
        raise ConfigError(f"{kind}_features name {names}, but no {kind}s frame was given. Pass {kind}s=.")


def _tell_missing(vocabulary: Vocabulary, row_of: np.ndarray) -> None:
    lost = np.flatnonzero(row_of[1:] < 0)
    if len(lost):
        ids = listed(vocabulary.ids[lost[:3]].tolist())
        warnings.warn(
            f"items has no row for {len(lost):,} of the {len(vocabulary):,} items of the catalog "
            f"(first: {ids}); all their features count as missing.",
            DataWarning,
            stacklevel=3,
        )
