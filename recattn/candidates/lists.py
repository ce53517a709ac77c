"""Lists of what a request may and may not be given."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked, among
from recattn.candidates.base import Job
from recattn.dataset.doors import ids_given
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, DataError, listed
from recattn.schema import DataWarning, check_ids, check_same_kind, read_frame, require
from recattn.schema.columns import ITEM, REQUEST, USER

log = logging.getLogger("recattn")


@dataclass(frozen=True, eq=False)
class _Listed:
    """Items for everybody, or for some requests.

    Attributes:
        items: Ids for everybody, or a frame (or a file of one) with `item_id` and, unless it is for everybody,
            `request_id` or `user_id`.
    """

    items: Iterable[Any] | pd.DataFrame | str | Path = field(repr=False)

    _what: ClassVar[str]

    @cached_property
    def _frame(self) -> pd.DataFrame:
        if isinstance(self.items, pd.DataFrame | str | Path):
            frame = read_frame(self.items, self._what).reset_index(drop=True)
        else:
            frame = pd.DataFrame({ITEM: pd.Series(ids_given(self.items, f"{self._what}.items"))})
        require(frame, [ITEM], self._what)
        names = [name for name in (REQUEST, USER, ITEM) if name in frame]
        return frame[names].assign(**{name: check_ids(frame[name], name, self._what) for name in names})

    @cached_property
    def _items(self) -> Vocabulary:
        return Vocabulary.from_values(ITEM, self._frame[ITEM])

    @cached_property
    def _keys(self) -> dict[str, tuple[Vocabulary, np.ndarray]]:
        """By column: its distinct ids, and the ascending `id * (N + 1) + item` of all rows."""
        keys = {}
        items = self._items.encode(self._frame[ITEM]).astype(np.int64)
        for name in (REQUEST, USER):
            if name in self._frame:
                ids = Vocabulary.from_values(name, self._frame[name])
                codes = ids.encode(self._frame[name]).astype(np.int64)
                keys[name] = ids, np.unique(codes * (len(self._items) + 1) + items)
        return keys

    def bound(self, job: Job) -> Self:
        """Itself, after a look at whether the model knows the items listed."""
        if job.catalog is not None and len(self._frame):
            check_same_kind(self._frame[ITEM], self._what, pd.Series(job.catalog.ids), "the model", ITEM)
            unknown = job.catalog.encode(self._items.ids) < 0
            self._tell_unknown(self._items.ids[unknown].tolist(), len(self._items))
        return self

    def _tell_unknown(self, unknown: list[Any], of: int) -> None:
        raise NotImplementedError

    def _lists(self, candidates: pd.DataFrame, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """bool [n] each: whether the candidate is listed for its request, whether its request has a list."""
        if len(candidates) and len(self._frame):
            check_same_kind(self._frame[ITEM].head(1), self._what, candidates[ITEM].head(1), "candidates", ITEM)
        items = self._items.encode(candidates[ITEM]).astype(np.int64)
        if not self._keys:
            return items > 0, np.ones(len(items), dtype=bool)
        name = next((name for name in asked.names if name in self._keys), None)
        if name is None:
            raise DataError(
                f"{self._what} names requests by {REQUEST}, but the requests have none. "
                "Add it to them, or user_id here."
            )
        check_same_kind(self._frame[name].head(1), self._what, asked.frame[name].head(1), "requests", name)
        ids, pairs = self._keys[name]
        owners = ids.encode(asked.frame[name]).astype(np.int64)[asked.places(candidates)]
        found = (items > 0) & (owners > 0) & among(owners * (len(self._items) + 1) + items, pairs)
        return found, owners > 0


@dataclass(frozen=True, eq=False)
class Deny(_Listed):
    """Takes listed items away."""

    _what: ClassVar[str] = "deny"

    def keep(self, candidates: pd.DataFrame, asked: Asked) -> np.ndarray:
        """True where the item is not listed for the request."""
        return ~self._lists(candidates, asked)[0]

    def _tell_unknown(self, unknown: list[Any], of: int) -> None:
        if len(unknown) == of:
            _warn(f"deny: none of its {of:,} items is in the model's catalog ({listed(unknown, 3)}).")
        elif unknown:
            log.info("deny: %s of %s items are not in the model's catalog", f"{len(unknown):,}", f"{of:,}")


@dataclass(frozen=True, eq=False)
class Allow(_Listed):
    """Leaves listed items alone and takes all others away. It adds none: for that, pass the list to `FromFrame`.

    Attributes:
        unlisted: What requests without any row in the list may be given: `none`, or `all`.
    """

    unlisted: str = "none"

    _what: ClassVar[str] = "allow"

    def __post_init__(self) -> None:
        if self.unlisted not in ("none", "all"):
            raise ConfigError(f"Allow.unlisted must be 'none' or 'all', got {self.unlisted!r}.")

    def keep(self, candidates: pd.DataFrame, asked: Asked) -> np.ndarray:
        """True where the item is listed for the request."""
        if self._frame.empty:
            raise DataError("allow is empty: it has no row, so nothing could be recommended. Leave it out.")
        found, has_list = self._lists(candidates, asked)
        return found if self.unlisted == "none" else found | ~has_list

    def _tell_unknown(self, unknown: list[Any], of: int) -> None:
        if unknown:
            _warn(
                f"allow: {len(unknown):,} of its {of:,} items are not in the model's catalog and cannot be recommended "
                f"({listed(unknown, 3)})."
            )


def _warn(text: str) -> None:
    warnings.warn(text, DataWarning, stacklevel=5)
