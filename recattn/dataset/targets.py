"""Which held-out interactions a request asks for, with what lies before it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from recattn.config import Ties, Time
from recattn.errors import ConfigError, nearest
from recattn.schema import columns as c

Target = Literal["last", "successive", "all"]
TARGETS: tuple[Target, ...] = ("last", "successive", "all")

_NO_CONTEXT = {c.USER, c.ITEM, c.TIME, c.EVENT, c.WEIGHT, c.REQUEST, c.POSITION, c.LABEL, c.SEEN, c.SCORE, c.RANK}


class Targets(NamedTuple):
    """X requests over a log, with their M held-out interactions."""

    heads: np.ndarray  # int64 [X] row of the log whose moment and context the request has
    as_of: np.ndarray | None  # int64 [X] seconds UTC; None for order-only logs
    positions: np.ndarray  # int64 [X] rows of the user's log before the head
    visible: np.ndarray  # int64 [X] rows of the user's log the request may see
    rows: np.ndarray  # int64 [M] rows of the log that are truth
    requests: np.ndarray  # int64 [M] the request 0..X-1 each belongs to, ascending


@dataclass(frozen=True, eq=False)
class OrderedLog:
    """A canonical log with the order of its rows within each user: by time, then as given."""

    frame: pd.DataFrame  # R rows

    @cached_property
    def users(self) -> np.ndarray:
        """The user of each row, int64 [R], 0.. by first appearance."""
        return pd.factorize(self.frame[c.USER])[0]

    @cached_property
    def order(self) -> np.ndarray:
        """Rows by user, then time, then as given, int64 [R]."""
        return np.lexsort((self.frame[c.TIME].to_numpy(), self.users))

    @cached_property
    def sizes(self) -> np.ndarray:
        """Rows of each user, int64 [U]."""
        return np.bincount(self.users)

    @cached_property
    def places(self) -> np.ndarray:
        """The place of each row in its user's log, int64 [R], 0 first."""
        starts = np.cumsum(self.sizes) - self.sizes
        places = np.empty(len(self.users), np.int64)
        places[self.order] = np.arange(len(self.users)) - starts[self.users[self.order]]
        return places

    @cached_property
    def moment_places(self) -> np.ndarray:
        """The place of the first row of the same user and time, int64 [R]."""
        users, times = self.users[self.order], self.frame[c.TIME].to_numpy()[self.order]
        first = _changes(users) | _changes(times)
        places = np.empty(len(users), np.int64)
        places[self.order] = self.places[self.order][first][np.cumsum(first) - 1]
        return places

    @cached_property
    def only_counts(self) -> bool:
        """Whether the timestamps of all of several users just count 0, 1, 2, ...: an order, no times."""
        times = self.frame[c.TIME].to_numpy()
        return len(self.sizes) > 1 and times.max() < len(times) and bool((times == self.places).all())

    def first_places(self, rows: np.ndarray) -> np.ndarray:
        """The place at which the user of each of `rows` (int64 [M]) first met its item. int64 [M]."""
        items, ids = pd.factorize(self.frame[c.ITEM])
        pairs = self.users * np.int64(len(ids)) + items
        codes, found = pd.factorize(pairs[self.order])
        first = np.empty(len(found), np.int64)
        first[codes[::-1]] = self.places[self.order][::-1]  # the earliest is written last
        return first[pd.Index(found).get_indexer(pairs[rows])]

    def targets(self, held_out: np.ndarray, target: Target, *, time: Time, ties: Ties, start: int | None) -> Targets:
        """Requests for the rows where `held_out` (bool [R]), by user (first appearance), then time.

        Args:
            held_out: The rows of one part.
            target: `last`: one request a user, for its last row. `successive`: every row has its request; with
                `ties="exclude"` rows of one user at one time share theirs. `all`: one request a user for all its rows,
                made at `start`.
            time: `timestamp` or `order`, which has no moments.
            ties: `exclude`: rows at the request's own moment are not seen. `order`: those given earlier are.
            start: The moment of `all` requests; None takes the moment of the user's first row.
        """
        if target not in TARGETS:
            raise ConfigError(
                f"target must be one of {', '.join(TARGETS)}, got {target!r}.{nearest(str(target), TARGETS)}"
            )
        rows = self.order[held_out[self.order]]
        users, times = self.users[rows], self.frame[c.TIME].to_numpy()[rows]
        by_moment = ties == "exclude" and time == "timestamp"
        opens = _changes(users)
        if target == "last":
            last = np.append(opens[1:], True)
            rows, times, opens = rows[last], times[last], np.ones(int(last.sum()), bool)
        elif target == "successive":
            opens = opens | _changes(times) if by_moment else np.ones(len(rows), bool)
        heads, moments = rows[opens], times[opens]
        if target == "all" and start is not None:
            moments = np.full(len(heads), start, np.int64)
        return Targets(
            heads=heads,
            as_of=moments if time == "timestamp" else None,
            positions=self.places[heads],
            visible=(self.moment_places if by_moment else self.places)[heads],
            rows=rows,
            requests=np.cumsum(opens) - 1,
        )

    def requests_frame(self, targets: Targets) -> pd.DataFrame:
        """`request_id` 0..X-1, `user_id`, `timestamp` where there is one, `position`, and the head's other columns.

        What tells of the target itself (item, event_type, weight) is left out.
        """
        heads = self.frame.iloc[targets.heads].reset_index(drop=True)
        context = [name for name in heads.columns if name not in _NO_CONTEXT]
        moments = {} if targets.as_of is None else {c.TIME: targets.as_of}
        known = {c.REQUEST: np.arange(len(heads)), c.USER: heads[c.USER], **moments, c.POSITION: targets.positions}
        return pd.concat([pd.DataFrame(known), heads[context]], axis=1)

    def truth_frame(self, targets: Targets) -> pd.DataFrame:
        """`request_id`, `user_id`, `item_id`, `seen`: whether the item lies in what the request may see. M rows."""
        truth = self.frame[[c.USER, c.ITEM]].iloc[targets.rows].reset_index(drop=True)
        truth.insert(0, c.REQUEST, targets.requests)
        return truth.assign(**{c.SEEN: self.first_places(targets.rows) < targets.visible[targets.requests]})


def _changes(values: np.ndarray) -> np.ndarray:
    """True where a value differs from the one before it, and at the first. bool [n]."""
    return np.append(np.ones(min(len(values), 1), bool), values[1:] != values[:-1])
