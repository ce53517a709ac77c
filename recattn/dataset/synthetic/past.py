"""What users of a generated world did before a moment."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pandas as pd

from recattn.dataset.synthetic.process import Ints, Past
from recattn.errors import DataError, listed
from recattn.schema.columns import EVENT, ITEM, TIME, USER

VIEW = "view"


@dataclasses.dataclass(frozen=True)
class Log:
    """Interactions as arrays, by user, then time, then input order."""

    offsets: Ints  # [U+1]
    items: Ints  # [R]
    times: Ints  # [R] seconds UTC
    liked: npt.NDArray[np.bool_]  # [R]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, user_ids: pd.Series, item_ids: pd.Series) -> Log:
        """The log of `frame`; without `event_type` every interaction is a view.

        Raises:
            DataError: A user or an item is not of this world.
        """
        users = codes(frame, USER, user_ids, "history")
        items = codes(frame, ITEM, item_ids, "history")
        times = frame[TIME].to_numpy(dtype=np.int64)
        liked = (frame[EVENT] != VIEW).to_numpy() if EVENT in frame else np.zeros(len(frame), dtype=bool)
        order = np.lexsort((times, users))
        offsets = np.searchsorted(users[order], np.arange(len(user_ids) + 1))
        return cls(offsets, items[order], times[order], liked[order])

    def before(self, users: Ints, times: Ints) -> Past:
        """The past [B, T] of users [B] strictly before times [B]; T is the longest of them."""
        start = self.offsets[users]
        pairs = zip(start, self.offsets[users + 1], times, strict=True)
        count = np.array([np.searchsorted(self.times[a:b], at) for a, b, at in pairs], dtype=np.int64)
        place = np.arange(count.max(initial=0))
        there = place < count[:, None]
        row = np.where(there, start[:, None] + place, 0)
        if not len(self.items):
            return Past(row - 1, row, there)
        return Past(np.where(there, self.items[row], -1), self.times[row], there & self.liked[row])


def codes(frame: pd.DataFrame, column: str, ids: pd.Series, what: str) -> Ints:
    """The places in `ids` of the values of a column.

    Raises:
        DataError: A value is not among `ids`.
    """
    found = pd.Index(ids).get_indexer(pd.Index(frame[column]))
    if (found < 0).any():
        strangers = frame[column][found < 0].unique()
        raise DataError(
            f"{what} has {len(strangers)} values of {column!r} that this world does not have: "
            f"{listed(strangers)}. Its own look like {listed(ids[:2])}."
        )
    return found.astype(np.int64)
