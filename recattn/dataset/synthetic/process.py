"""The law that says what a user of a generated world takes next."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HOUR = 3600.0
DAY = 24 * HOUR


@dataclasses.dataclass(frozen=True)
class Strengths:
    """How much each cause moves the choice of the next item, in nats.

    Attributes:
        popularity: Weight of the Zipf popularity of an item.
        taste: Weight of the user's taste at the moment, which drifts.
        session: Weight of an item's likeness to the last items of the session.
        sequel: Weight of having liked the volume before, which fades over `sequel_days`.
        viewed: Share of `sequel` that a volume has which was only viewed.
        session_items: How many last items count; each one `session_decay` of the one after it.
        session_carry: Share of the session's weight that outlives the session.
        liking: Weight of the taste in whether a user likes what they took.
    """

    popularity: float = 1.0
    taste: float = 1.0
    session: float = 2.0
    sequel: float = 6.0
    viewed: float = 0.3
    session_items: int = 5
    session_decay: float = 0.6
    session_hours: float = 1.0
    session_carry: float = 0.3
    sequel_days: float = 20.0
    drift_days: float = 7.0
    liking: float = 1.5


PLAIN = Strengths(taste=0.0, session=0.0, sequel=0.0, liking=0.0)


class Past(NamedTuple):
    """What B users did before a moment."""

    items: Ints  # [B, T] in time order; -1 where there is nothing
    times: Ints  # [B, T] seconds UTC
    liked: npt.NDArray[np.bool_]  # [B, T] True where the behaviour was more than a view


@dataclasses.dataclass(frozen=True)
class Process:
    """p(next item | user, visible history, moment): generation draws from it, the oracle ranks by it."""

    popularity: Floats  # [N] log of the relative popularity
    genres: Floats  # [N, K] rows of unit length
    sequel: Ints  # [N] the next volume of the series, -1 for none
    available_from: Ints  # [N] seconds UTC
    early: Floats  # [U, K] taste before the turn
    late: Floats  # [U, K] taste after the turn
    turn: Ints  # [U] seconds UTC
    strengths: Strengths

    def taste(self, users: Ints, times: Ints) -> Floats:
        """The tastes [B, K] of users [B] at times [B]: a smooth step from early to late."""
        way = (times - self.turn[users]) / (self.strengths.drift_days * DAY)
        share = 1 / (1 + np.exp(-np.clip(way, -50, 50)))[:, None]
        return (1 - share) * self.early[users] + share * self.late[users]

    def probabilities(self, users: Ints, times: Ints, past: Past) -> Floats:
        """p [B, N] of each item to be the next one; 0 for items taken before or not available yet.

        A row with nothing left to take is all zero.
        """
        logits = self._logits(users, times, past)
        row, place = np.nonzero(past.items >= 0)
        logits[row, past.items[row, place]] = -np.inf
        logits[times[:, None] < self.available_from[None, :]] = -np.inf
        highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
        weights = np.exp(logits - np.where(np.isfinite(highest), highest, 0.0))
        return weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)

    def liking(self, users: Ints, times: Ints, items: Ints) -> Floats:
        """The chance [B] that users [B] like items [B] they take at times [B]."""
        fit = (self.taste(users, times) * self.genres[items]).sum(axis=1)
        return 1 / (1 + np.exp(1.0 - self.strengths.liking * fit))

    def _logits(self, users: Ints, times: Ints, past: Past) -> Floats:
        by = self.strengths
        wanted = by.taste * self.taste(users, times) + by.session * self._session(times, past)
        logits = by.popularity * self.popularity + wanted @ self.genres.T
        return logits + by.sequel * self._sequels(times, past)

    def _session(self, times: Ints, past: Past) -> Floats:
        """The genres [B, K] of the last items, weighted by place and by age."""
        by = self.strengths
        there = past.items >= 0
        lag = there[:, ::-1].cumsum(axis=1)[:, ::-1] - there
        hours = (times[:, None] - past.times) / HOUR
        fresh = by.session_carry + (1 - by.session_carry) * np.exp(-np.maximum(hours, 0) / by.session_hours)
        weight = np.where(there & (lag < by.session_items), by.session_decay**lag * fresh, 0.0)
        return np.einsum("bt,btk->bk", weight, self.genres[past.items])

    def _sequels(self, times: Ints, past: Past) -> Floats:
        """How awaited each item is [B, N], for the sake of the volume before it."""
        by = self.strengths
        n_items = len(self.sequel)
        sequel = np.where(past.items >= 0, self.sequel[past.items], -1)
        row, place = np.nonzero(sequel >= 0)
        days = (times[row] - past.times[row, place]) / DAY
        wish = np.where(past.liked[row, place], 1.0, by.viewed)
        kept = np.exp(-np.maximum(days, 0) / by.sequel_days)
        cell = row * n_items + sequel[row, place]
        total = np.bincount(cell, weights=wish * kept, minlength=len(times) * n_items)
        return total.astype(np.float64).reshape(len(times), n_items)
