"""The two-way map between external ids and int32 codes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recattn.errors import ArtifactError, DataError, listed

PADDING = 0
UNKNOWN = -1


class Vocabulary:
    """Ids of one kind, in a fixed order. Code 0 is padding, 1..N are the ids, -1 is an id it does not know.

    Args:
        name: What the ids name, for messages (`item_id`).
        ids: Distinct ids without nulls, in code order.

    Raises:
        DataError: An id occurs twice.
    """

    def __init__(self, name: str, ids: Iterable[Any]) -> None:
        self.name = name
        self._index = pd.Index(plain(ids), name=name)
        if not self._index.is_unique:
            raise DataError(f"{name} has repeated ids: {listed(self._index[self._index.duplicated()].unique())}.")

    @classmethod
    def from_values(cls, name: str, *values: Any) -> Vocabulary:
        """The distinct ids of one or more columns, in order of first appearance; nulls are left out."""
        columns = [pd.Series(plain(column)).dropna() for column in values]
        kept = [column for column in columns if len(column)]
        if not kept:
            return cls(name, [])
        return cls(name, pd.unique(pd.concat(kept, ignore_index=True)))

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, value: object) -> bool:
        return value in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.name == other.name and self._index.equals(other._index)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({self.name!r}, {len(self)} ids)"

    @property
    def ids(self) -> np.ndarray:
        """Ids in code order: `ids[code - 1]`."""
        return self._index.to_numpy()

    def encode(self, values: Any) -> np.ndarray:
        """Codes int32 [n] of `values` [n]; -1 where the id is unknown or null."""
        wanted = pd.Index(plain(values))
        positions = self._index.get_indexer(wanted) if len(wanted) else np.empty(0, np.int64)
        return np.where(positions < 0, UNKNOWN, positions + 1).astype(np.int32)

    def decode(self, codes: Any) -> np.ndarray:
        """Ids [n] of `codes` [n]; None where a code is padding or unknown.

        Raises:
            DataError: A code lies beyond the vocabulary.
        """
        codes = np.asarray(codes, dtype=np.int64)
        if codes.size and codes.max() > len(self):
            raise DataError(f"code {codes.max()} is beyond the {len(self)} ids of {self.name}.")
        if not codes.size or codes.min() > 0:
            return self.ids[codes - 1]
        result = np.full(codes.shape, None, dtype=object)
        known = codes > 0
        result[known] = self.ids[codes[known] - 1]
        return result

    @cached_property
    def digest(self) -> str:
        """sha256 over type and ids, in order."""
        kind = "str" if self._index.inferred_type == "string" else self._index.inferred_type
        text = "\n".join([kind, *map(repr, self._index.tolist())])
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the ids to a Parquet file.

        Raises:
            ArtifactError: The ids are of a kind Parquet cannot hold.
        """
        column = arrow_ids(self.name, self._index.to_numpy())
        metadata = {b"name": self.name.encode()}
        pq.write_table(pa.table({"id": column}).replace_schema_metadata(metadata), path)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read what `save` wrote."""
        table = pq.read_table(path)
        name = (table.schema.metadata or {}).get(b"name", b"id").decode()
        return cls(name, table.column("id").to_pandas())


def arrow_ids(name: str, ids: np.ndarray) -> pa.Array:
    """Ids as Parquet holds them; ArtifactError where they would come back as another type."""
    try:
        column = pa.array(ids, from_pandas=True)
        if pa.types.is_nested(column.type) or isinstance(column.type, pa.BaseExtensionType):
            raise TypeError(f"{column.type} would come back as another type")
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ArtifactError(
            f"ids of {name} are of type {type(ids[0]).__name__}, which cannot be saved. Convert them to str first."
        ) from error
    return column


def plain(values: Any) -> Any:
    """A one-dimensional array of ids in the one form all comparisons use: int64, or objects of Python."""
    if isinstance(values, pd.Series | pd.Index) and isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.dtype.categories.dtype)
    if not isinstance(values, pd.Series | pd.Index | np.ndarray):
        values = list(values)
        if values and isinstance(values[0], tuple):
            boxed = np.empty(len(values), dtype=object)
            boxed[:] = values
            return boxed
        values = pd.Series(values) if values else pd.Series(values, dtype=object)
    if isinstance(values, pd.MultiIndex):
        values = values.to_flat_index()
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind):
        return np.asarray(values, dtype=object)
    if pd.api.types.is_integer_dtype(kind):
        return np.asarray(values, dtype=np.int64) if not pd.isna(values).any() else np.asarray(values, dtype=object)
    if isinstance(kind, np.dtype) and kind.kind in "US":
        return np.asarray(values, dtype=object)
    if pd.api.types.is_string_dtype(kind) or pd.api.types.is_object_dtype(kind):
        return np.asarray(values, dtype=object)
    return np.asarray(values)
