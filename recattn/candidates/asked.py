"""Requests bound to a history, found again by the rows of other frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Ties, Time
from recattn.dataset.doors import History, ids_given, moment_asked, open_log
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, gather_ranges, make_requests
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError
from recattn.schema import check_ids, check_same_kind, read_requests, require
from recattn.schema.columns import ITEM, REQUEST, TIME, USER
from recattn.schema.rows import first_rows

Users = Iterable[Any] | pd.DataFrame | str | Path | None


@dataclass(frozen=True, eq=False)
class Asked:
    """X requests over one store."""

    frame: pd.DataFrame  # [request_id,] user_id[, timestamp, position, context ...], a row a request
    requests: Requests
    store: HistoryStore

    @classmethod
    def of(
        cls,
        users: Users,
        *,
        history: History,
        as_of: Any = None,
        time: Time = "timestamp",
        ties: Ties = "exclude",
    ) -> Asked:
        """Requests for every user of the history (None), a list of users, or a frame of requests.

        Args:
            users: Who is asked about.
            history: Interactions: a frame, a file or a store.
            as_of: The moment of requests that name none; just after the end of the history by default.
            time: How a history that is no store tells its order.
            ties: Whether a `position` decides what is seen of the request's own moment.

        Raises:
            DataError: The frames break a rule of their door, or a user stands twice where no `request_id` is given.
            ConfigError: An `as_of` where there are no times.
        """
        store = history_store(history, time)
        if users is None:
            users = pd.DataFrame({USER: store.users})
        if not isinstance(users, pd.DataFrame | str | Path):
            ids = pd.Series(ids_given(users, "users"), name=USER)
            users = pd.DataFrame({USER: check_ids(ids, USER, "users") if len(ids) else ids.astype(object)})
        named = REQUEST in users.columns if isinstance(users, pd.DataFrame) else True
        frame = read_requests(users, time=store.time)
        if not named:
            _check_once(frame)
        requests = make_requests(store, frame, as_of=moment_asked(as_of, store, frame), ties=ties)
        if requests.as_of is not None:
            frame[TIME] = requests.as_of
        return cls(frame if named else frame.drop(columns=REQUEST), requests, store)

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, rows: np.ndarray) -> Asked:
        """The requests at `rows` (int [Y])."""
        return replace(self, frame=self.frame.iloc[rows].reset_index(drop=True), requests=self.requests.take(rows))

    @property
    def key(self) -> str:
        """The column that tells requests apart."""
        return REQUEST if REQUEST in self.frame else USER

    @property
    def names(self) -> list[str]:
        """The columns that other frames name a request by."""
        return [name for name in (REQUEST, USER) if name in self.frame]

    @cached_property
    def _index(self) -> Vocabulary:
        return Vocabulary(self.key, self.frame[self.key])

    def places(self, frame: pd.DataFrame, what: str = "candidates") -> np.ndarray:
        """The request of each row of `frame`, int64 [n]; -1 where nobody asked for it.

        DataError where `frame` lacks the column requests are told apart by, or names them by ids of another kind.
        """
        require(frame, [self.key], what)
        check_same_kind(frame[self.key].head(1), what, self.frame[self.key].head(1), "requests", self.key)
        return self._index.encode(frame[self.key]).astype(np.int64) - 1

    def seen_pairs(self) -> np.ndarray:
        """`place * (N + 1) + item code` of all visible interactions, int64, ascending, each once."""
        rows, offsets = gather_ranges(self.requests.starts, self.requests.stops)
        owners = np.repeat(np.arange(len(self)), np.diff(offsets))
        return np.unique(owners * (len(self.store.item_vocabulary) + 1) + self.store.items[rows])


def history_store(history: History | None, time: Time = "timestamp") -> HistoryStore:
    """The history as a store of all its items; a store as it is."""
    if history is None:
        raise DataError("history is missing. Pass the interactions of those you ask about, history=log.")
    found = open_log(history, time)
    if isinstance(found, HistoryStore):
        return found
    return HistoryStore.from_frame(found, Vocabulary.from_values(ITEM, found[ITEM]), time=time)


def among(wanted: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Which of `wanted` int64 [...] are in `ascending` int64 [n]: bool [...]."""
    if not len(ascending):
        return np.zeros(wanted.shape, dtype=bool)
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return ascending[places] == wanted


def _check_once(frame: pd.DataFrame) -> None:
    twice = frame[USER].duplicated().to_numpy()
    if twice.any():
        raise DataError(
            f"requests has {int(twice.sum()):,} rows with a user_id of an earlier row "
            f"({first_rows(twice, frame[USER])}) and no column 'request_id', "
            "so their candidates could not be told apart. Add request_id, for instance "
            "requests.assign(request_id=range(len(requests)))."
        )
