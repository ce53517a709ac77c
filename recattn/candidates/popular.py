"""What most people touched just before each request."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.baselines.impersonal import Span
from recattn.candidates.asked import Asked, among
from recattn.candidates.base import Job
from recattn.candidates.frames import candidates_frame
from recattn.dataset.doors import History
from recattn.dataset.history import HistoryStore
from recattn.errors import ConfigError
from recattn.schema import check_k
from recattn.schema.times import span

_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class Timeline:
    """The interactions of all users in the order of time."""

    times: np.ndarray | None  # int64 [R], ascending
    items: np.ndarray  # int32 [R]
    size: int  # item codes, padding among them

    @classmethod
    def of(cls, store: HistoryStore) -> Timeline:
        """The timeline of a store; of an order-only one the items alone."""
        size = len(store.item_vocabulary) + 1
        if store.times is None:
            return cls(None, store.items, size)
        order = np.argsort(store.times, kind="stable")
        return cls(store.times[order], store.items[order], size)

    def counts(self, moments: np.ndarray, window: float | None) -> np.ndarray:
        """int64 [M, N + 1]: interactions with each item before each of `moments` int [M] (ascending), and at most
        `window` seconds before it.
        """
        if self.times is None:
            return np.repeat(np.bincount(self.items, minlength=self.size)[None], len(moments), axis=0)
        stops = np.searchsorted(self.times, moments)
        starts = np.zeros_like(stops) if window is None else np.searchsorted(self.times, moments - window)
        counts = np.zeros((len(moments), self.size), dtype=np.int64)
        counts[0] = np.bincount(self.items[starts[0] : stops[0]], minlength=self.size)
        if len(moments) > 1:  # afterwards only what comes and goes
            counts[1:] = self._steps(stops) - self._steps(starts)
            np.cumsum(counts, axis=0, out=counts)
        return counts

    def _steps(self, edges: np.ndarray) -> np.ndarray:
        """int64 [M - 1, N + 1]: interactions with each item between neighbouring `edges` int [M]."""
        rows = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
        cells = rows * self.size + self.items[edges[0] : edges[-1]]
        return np.bincount(cells, minlength=(len(edges) - 1) * self.size).reshape(-1, self.size)


@dataclass(frozen=True)
class Popular:
    """Items by the interactions of everybody in the last `window` before the request; equal ones in catalog order.

    In an order-only history there is no "before" among users: all of it counts.

    Attributes:
        window: A span such as `"7D"`; None counts everything before the request.
        every: How often counts are brought up to date, such as `"1h"`: moments are rounded down to it. None counts
            anew for each moment, which costs one pass over the catalog a moment.
        exclude_seen: Whether items of the visible history are left out. In a two-stage job its `exclude_seen` decides.
    """

    window: Span | None = None
    every: Span | None = None
    exclude_seen: bool = True
    _timeline: tuple[HistoryStore, Timeline] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("window", "every"):
            if getattr(self, name) is not None:
                span(getattr(self, name), f"Popular.{name}")

    def bound(self, job: Job) -> Popular:
        """Itself with the history sorted once."""
        self._check(job.asked.store)
        timeline = (job.asked.store, Timeline.of(job.asked.store))
        return replace(self, exclude_seen=job.exclude_seen, _timeline=timeline)

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request: what nobody touched in the window is no candidate."""
        check_k(k)
        asked = Asked.of(requests, history=history, as_of=as_of)
        self._check(asked.store)
        if self._timeline is not None and self._timeline[0] is asked.store:
            timeline = self._timeline[1]
        else:
            timeline = Timeline.of(asked.store)
        moments, of_request = self._moments(asked)
        window = None if self.window is None else span(self.window, "window")
        wanted = k + (asked.requests.lengths if self.exclude_seen else np.zeros(len(asked), dtype=np.int64))
        found = []
        for rows, few in _chunks(of_request, wanted, timeline.size):
            best = most_counted(timeline.counts(moments[few], window), int(wanted[rows].max()))
            found.append(self._best(asked, rows, best[of_request[rows] - few.start], k))
        places, codes, ranks = (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else _NOTHING
        order = np.argsort(places, kind="stable")
        items = asked.store.item_vocabulary.decode(codes[order])
        return candidates_frame(asked, places[order], items, "popular", ranks[order])

    def _best(
        self, asked: Asked, rows: np.ndarray, best: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places, codes and ranks of the first `k` of `best` int [Y, W] for the requests at `rows` [Y]."""
        open_ = best > 0
        if self.exclude_seen:
            pairs = np.arange(len(rows))[:, None] * (len(asked.store.item_vocabulary) + 1) + best
            open_ &= ~among(pairs, asked.take(rows).seen_pairs())
        ranks = np.cumsum(open_, axis=1)
        taken, columns = np.nonzero(open_ & (ranks <= k))
        return rows[taken], best[taken, columns], ranks[taken, columns]

    def _moments(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """The distinct moments int64 [M], ascending, and the one of each request int64 [X]."""
        moments = asked.requests.as_of
        if moments is None:
            return np.zeros(1, dtype=np.int64), np.zeros(len(asked), dtype=np.int64)
        if self.every is not None:
            step = max(1, int(span(self.every, "every")))
            moments = moments // step * step
        return np.unique(moments, return_inverse=True)

    def _check(self, store: HistoryStore) -> None:
        if store.times is None and self.window is not None:
            raise ConfigError(
                f"Popular(window={self.window!r}) needs times, but the history has none (time='order'). "
                "Pass window=None."
            )


_NOTHING = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def most_counted(counts: np.ndarray, width: int) -> np.ndarray:
    """Item codes int64 [M, W] by `counts` int64 [M, N + 1], highest first, equal ones by code; 0 for none counted."""
    size = counts.shape[1]
    keys = -(counts * size + np.arange(size - 1, -1, -1))  # no two alike, so that the order is the only one there is
    if width < size:
        keys = np.partition(keys, width - 1, axis=1)[:, :width]
    keys.sort(axis=1)
    return np.where(keys <= -size, size - 1 - (-keys) % size, 0)


def _chunks(of_request: np.ndarray, wanted: np.ndarray, size: int) -> list[tuple[np.ndarray, slice]]:
    """Requests [Y] with the moments they have, so that neither counts nor lists are more than some 4 million cells.

    Within a moment those who want few go first.
    """
    order = np.lexsort((wanted, of_request))
    ordered = of_request[order]
    most_moments, most_requests = max(1, _CELLS // size), max(1, _CELLS // min(int(wanted.max(initial=1)), size))
    chunks, start = [], 0
    while start < len(order):
        stop = min(start + most_requests, int(np.searchsorted(ordered, ordered[start] + most_moments)))
        chunks.append((order[start:stop], slice(int(ordered[start]), int(ordered[stop - 1]) + 1)))
        start = stop
    return chunks
