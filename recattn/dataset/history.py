"""Every interaction once: by user, then time, then the order it was given in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recattn.config import Time
from recattn.dataset.vocabulary import Vocabulary, plain
from recattn.errors import DataError
from recattn.schema.columns import EVENT, ITEM, TIME, USER, WEIGHT

if TYPE_CHECKING:
    from recattn.dataset.manifest import Manifest

COLUMNS = ("items", "times", "behaviours", "weights", "positions")


@dataclass(frozen=True, eq=False)
class HistoryStore:
    """Histories of all users as flat arrays; user u has the rows `offsets[u]:offsets[u + 1]`.

    21 bytes an interaction at most, beside extras. Arrays may be memory-mapped and are never written to.
    """

    users: np.ndarray  # external ids [U], in order of first appearance
    offsets: np.ndarray  # int64 [U + 1]
    items: np.ndarray  # int32 [R], codes of item_vocabulary, all >= 1
    times: np.ndarray | None  # int64 [R], UTC seconds, ascending within a user; None: the order is all that is known
    behaviours: np.ndarray | None  # int8 [R], codes of behaviour_vocabulary, 0 = none or unknown
    weights: np.ndarray | None  # float32 [R], NaN = none
    positions: np.ndarray | None  # int32 [R], place in the user's given log; None: nothing was dropped from it
    item_vocabulary: Vocabulary
    behaviour_vocabulary: Vocabulary | None = None
    extras: dict[str, np.ndarray] = field(default_factory=dict)  # name -> [R]
    dropped: int = 0  # interactions with unknown items that were left out
    path: Path | None = None  # folder it is mapped from
    generation: int = 0  # how often had been appended to that folder

    @classmethod
    def from_frame(
        cls,
        interactions: pd.DataFrame,
        items: Vocabulary,
        *,
        behaviours: Vocabulary | None = None,
        time: Time = "timestamp",
        extras: Sequence[str] = (),
    ) -> HistoryStore:
        """Build from a canonical frame (`recattn.schema.read_interactions`).

        Interactions with items outside `items` are dropped and counted. With `behaviours` None the vocabulary is
        made from the frame's `event_type`, where it has one.

        Raises:
            DataError: More than 127 kinds of behaviour, or no column for a name in `extras`.
        """
        missing = [name for name in extras if name not in interactions]
        if missing:
            raise DataError(f"interactions has no column {missing[0]!r}; it has {list(interactions.columns)}.")
        users, user_rows = _factorize(interactions[USER])
        times = interactions[TIME].to_numpy(np.int64)
        order = np.lexsort((times, user_rows))  # stable: ties keep the order of the frame
        user_rows = user_rows[order]
        codes = items.encode(interactions[ITEM])[order]
        offsets = _offsets(user_rows, len(users))
        if behaviours is None and EVENT in interactions:
            behaviours = Vocabulary.from_values(EVENT, interactions[EVENT])
        if behaviours is not None and len(behaviours) > np.iinfo(np.int8).max:
            raise DataError(f"interactions has {len(behaviours)} kinds of event_type; at most 127 are supported.")
        events = weights = None
        if behaviours is not None and EVENT in interactions:
            events = np.maximum(behaviours.encode(interactions[EVENT]), 0).astype(np.int8)[order]
        if WEIGHT in interactions:
            weights = interactions[WEIGHT].to_numpy(np.float32)[order]
        store = cls(
            users=users,
            offsets=offsets,
            items=codes,
            times=times[order] if time == "timestamp" else None,
            behaviours=events,
            weights=weights,
            positions=None,
            item_vocabulary=items,
            behaviour_vocabulary=behaviours,
            extras={name: interactions[name].to_numpy()[order] for name in extras},
        )
        return store._without_unknown()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"HistoryStore({len(self.users)} users, {len(self)} interactions, time={self.time!r})"

    def __reduce__(self) -> Any:
        if self.path is not None:
            from recattn.dataset.store_files import open_store

            return open_store, (self.path, self.generation)
        return super().__reduce__()

    @property
    def time(self) -> Time:
        """`timestamp`, or `order` where the store has no times."""
        return "order" if self.times is None else "timestamp"

    @property
    def lengths(self) -> np.ndarray:
        """Interactions a user, int64 [U]."""
        return np.diff(self.offsets)

    @cached_property
    def end(self) -> int | None:
        """The first second after every interaction; None without times or interactions."""
        return int(self.times.max()) + 1 if self.times is not None and len(self) else None

    @cached_property
    def _user_index(self) -> Vocabulary:
        return Vocabulary(USER, self.users)

    def user_rows(self, user_ids: Any) -> np.ndarray:
        """Place of each user id in `users`, int32 [n]; -1 for users without history."""
        codes = self._user_index.encode(user_ids)
        return np.where(codes > 0, codes - 1, -1).astype(np.int32)

    @cached_property
    def row_users(self) -> np.ndarray:
        """The user of each interaction, int32 [R]."""
        return np.repeat(np.arange(len(self.users), dtype=np.int32), self.lengths)

    @cached_property
    def places(self) -> np.ndarray:
        """Place of each interaction in its user's given log, int64 [R], counting what was dropped."""
        if self.positions is not None:
            return self.positions.astype(np.int64)
        return np.arange(len(self)) - np.repeat(self.offsets[:-1], self.lengths)

    def select(self, mask: np.ndarray) -> HistoryStore:
        """A store in memory of the interactions where `mask` (bool [R]) is true; every user stays."""
        kept: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[mask] for name in COLUMNS
        }
        return replace(
            self,
            offsets=_offsets(self.row_users[mask], len(self.users)),
            extras={name: values[mask] for name, values in self.extras.items()},
            path=None,
            **kept,
        )

    def recode(self, vocabulary: Vocabulary) -> HistoryStore:
        """The same histories in the codes of another item vocabulary; unknown items are dropped and counted."""
        if vocabulary is self.item_vocabulary or vocabulary == self.item_vocabulary:
            return self
        table = np.concatenate([[0], vocabulary.encode(self.item_vocabulary.ids)]).astype(np.int32)
        return replace(self, items=table[self.items], item_vocabulary=vocabulary, path=None)._without_unknown()

    def with_behaviours(self, vocabulary: Vocabulary) -> HistoryStore:
        """The same histories in the codes of another behaviour vocabulary; unknown behaviours become 0."""
        if self.behaviours is None or self.behaviour_vocabulary is None or self.behaviour_vocabulary == vocabulary:
            return self
        table = np.concatenate([[0], np.maximum(vocabulary.encode(self.behaviour_vocabulary.ids), 0)])
        return replace(
            self, behaviours=table.astype(np.int8)[self.behaviours], behaviour_vocabulary=vocabulary, path=None
        )

    def to_frame(self) -> pd.DataFrame:
        """The canonical frame again, by user, then time; order-only stores number a user's rows."""
        columns: dict[str, Any] = {
            USER: np.repeat(self.users, self.lengths),
            ITEM: self.item_vocabulary.decode(self.items),
            TIME: np.asarray(self.times) if self.times is not None else self.places,
        }
        if self.behaviours is not None and self.behaviour_vocabulary is not None:
            columns[EVENT] = self.behaviour_vocabulary.decode(self.behaviours)
        if self.weights is not None:
            columns[WEIGHT] = np.asarray(self.weights)
        return pd.DataFrame(columns | {name: np.asarray(values) for name, values in self.extras.items()})

    def to_lists(self) -> pd.DataFrame:
        """One row a user with interactions, its columns in arrays: as Parquet, what `build` and `append` read too."""
        frame = self.to_frame()
        cuts = self.offsets[:-1][self.lengths > 0][1:]
        columns = {name: np.split(frame[name].to_numpy(), cuts) for name in frame if name != USER}
        return pd.DataFrame({USER: self.users[self.lengths > 0]} | columns)

    @staticmethod
    def merge(stores: Sequence[HistoryStore]) -> HistoryStore:
        """One store with the interactions of all, in the first one's codes (`recattn.dataset.merge`)."""
        from recattn.dataset.merge import merge_stores

        return merge_stores(stores)

    @cached_property
    def digest(self) -> str:
        """sha256 over users, items, times, behaviours and weights."""
        state = hashlib.sha256(Vocabulary(USER, self.users).digest.encode())
        for names in (self.item_vocabulary, self.behaviour_vocabulary):
            state.update(b"-" if names is None else names.digest.encode())
        for values in (self.offsets, self.items, self.times, self.behaviours, self.weights):
            state.update(b"-" if values is None else np.ascontiguousarray(values).view(np.uint8).data)
        return state.hexdigest()

    def save(self, path: str | Path, *, overwrite: bool = False) -> HistoryStore:
        """Write as a folder of segments and open it from there, memory-mapped (`recattn.dataset.store_files`)."""
        from recattn.dataset.store_files import save_store

        return save_store(self, Path(path), overwrite=overwrite)

    @staticmethod
    def open(path: str | Path) -> HistoryStore:
        """Open what `save`, `build` or `append` wrote, memory-mapped."""
        from recattn.dataset.store_files import open_store

        return open_store(Path(path))

    @staticmethod
    def build(data: pd.DataFrame | str | Path, path: str | Path, **how: Any) -> Manifest:
        """Write the store of a log that need not fit into memory (`recattn.dataset.append.build_store`)."""
        from recattn.dataset.append import build_store

        return build_store(data, Path(path), **how)

    @staticmethod
    def append(path: str | Path, data: pd.DataFrame | str | Path, **how: Any) -> Manifest:
        """Add interactions to a store without writing it anew (`recattn.dataset.append.append_store`)."""
        from recattn.dataset.append import append_store

        return append_store(Path(path), data, **how)

    def _without_unknown(self) -> HistoryStore:
        known = self.items > 0
        if known.all():
            return self
        lost = int(len(known) - known.sum())
        return replace(replace(self, positions=self.places.astype(np.int32)).select(known), dropped=self.dropped + lost)


def _factorize(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    codes, ids = pd.factorize(plain(values))
    return np.asarray(ids), codes.astype(np.int32)


def _offsets(sorted_rows: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_rows, minlength=n))]).astype(np.int64)
