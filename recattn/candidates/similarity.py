"""How alike two items are, as vectors whose product it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.categories import Categories
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, DataError
from recattn.recommender import Recommender
from recattn.schema import check_ids, check_same_kind
from recattn.schema.columns import ITEM


@dataclass(frozen=True, eq=False)
class ItemVectors:
    """Vectors of length 1; similarity is their product, and 0 with an item that has none.

    Attributes:
        items: The items that have one.
        vectors: [N + 1, D] float32, dense or a scipy CSR array; row 0, of all other items, is zero.
    """

    items: Vocabulary
    vectors: Any

    @classmethod
    def of_arrays(cls, item_ids: Any, vectors: np.ndarray) -> ItemVectors:
        """Of ids [N] and their vectors [N, D] of any length: cosine."""
        vectors = np.asarray(vectors, dtype=np.float32)
        items = Vocabulary(ITEM, check_ids(pd.Series(item_ids), ITEM, "vectors"))
        if vectors.ndim != 2 or len(vectors) != len(items):
            raise DataError(f"vectors must be [{len(items)}, D], a row an item, got {list(vectors.shape)}.")
        if not np.isfinite(vectors).all():
            raise DataError("vectors has values that are no finite numbers. Fix or drop their items.")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(
            items, np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors / np.where(norms, norms, 1)])
        )

    @classmethod
    def of_model(cls, model: Recommender) -> ItemVectors:
        """The cosine of a model's item embeddings."""
        import torch

        if not isinstance(model, Recommender):
            raise ConfigError(f"similarity of a model must be a Recommender's, got {model!r}.")
        scorer = model.scorer
        with torch.inference_mode():
            codes = torch.arange(1, len(model.items), device=scorer.start.device)
            vectors = scorer.items(codes).float().cpu().numpy()
        return cls.of_arrays(model.items.vocabulary.ids, vectors)

    @classmethod
    def of_categories(cls, items: pd.DataFrame | str | Path, by: str, separator: str = "|") -> ItemVectors:
        """Shared categories over the root of the product of both counts: 1 for the same ones, 0 for none shared."""
        from scipy.sparse import csr_array

        kinds = Categories.of(items, by, separator)
        counts = np.diff(kinds.offsets)
        values = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
        shape = (len(counts), max(1, len(kinds.names)))
        return cls(kinds.items, csr_array((values, kinds.values, kinds.offsets), shape=shape))

    @property
    def dim(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    def codes(self, items: pd.Series) -> np.ndarray:
        """Rows of `vectors` int64 [n]."""
        check_same_kind(pd.Series(self.items.ids[:1]), "similarity", items.head(1), "recommendations", ITEM)
        return np.maximum(self.items.encode(items), 0).astype(np.int64)

    def take(self, codes: np.ndarray) -> np.ndarray:
        """Vectors float32 [..., D] of `codes` int [...]."""
        rows = self.vectors[codes.reshape(-1)]
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        return dense.reshape(*codes.shape, self.dim)
