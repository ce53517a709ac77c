"""A generated world: its frames beside the preference that made them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd

from recattn.dataset.synthetic.past import VIEW, Log, codes
from recattn.dataset.synthetic.population import make_catalog, make_population, make_visits
from recattn.dataset.synthetic.process import PLAIN, Floats, Ints, Process, Strengths
from recattn.dataset.synthetic.walk import walk
from recattn.errors import ConfigError
from recattn.schema.columns import EVENT, ITEM, RANK, REQUEST, SCORE, TIME, USER

CHUNK = 1024  # requests the oracle ranks at once


@dataclasses.dataclass(frozen=True)
class World:
    """What `make_world` gives. A user takes an item once at most, so leave out what was seen."""

    interactions: pd.DataFrame  # user_id, item_id, timestamp (s UTC), event_type; in time order
    items: pd.DataFrame  # item_id, title, series, genres (a|b), year, price, available_from (s UTC)
    users: pd.DataFrame  # user_id, age, country
    process: Process

    def oracle(
        self,
        requests: pd.DataFrame,
        history: pd.DataFrame | None = None,
        *,
        k: int | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """The best possible recommendations: items by their true probability to be the user's next one.

        Args:
            requests: `user_id`, and `timestamp` (s UTC; without it, just after the end of `history`,
                or of this world where that is empty).
            history: The interactions; those from a request's moment on are not looked at.
                None: this world's.
            k: How many items a request; None ranks the whole catalog.
            exclude_seen: False lists items the user had before at the end, with score 0.

        Returns:
            `[request_id,] user_id, item_id, score` (the probability), `rank`; ties in catalog order. Items
            not available at the moment are never listed; `request_id` is there where `requests` has it.

        Raises:
            DataError: A user or an item is not of this world.
        """
        log = Log.from_frame(self.interactions if history is None else history, self.users[USER], self.items[ITEM])
        users = codes(requests, USER, self.users[USER], "requests")
        end = (log.times if len(log.times) else self.interactions[TIME].to_numpy()).max() + 1
        times = requests[TIME].to_numpy(np.int64) if TIME in requests else np.full(len(users), end)
        parts = [
            _rank(self.process, log, users[at : at + CHUNK], times[at : at + CHUNK], k, exclude_seen)
            for at in range(0, max(len(users), 1), CHUNK)
        ]
        row = np.concatenate([part.row + at * CHUNK for at, part in enumerate(parts)])
        keys = [name for name in (REQUEST, USER) if name in requests]
        frame = requests[keys].iloc[row].reset_index(drop=True)
        frame[ITEM] = self.items[ITEM].to_numpy()[np.concatenate([part.item for part in parts])]
        frame[SCORE] = np.concatenate([part.score for part in parts])
        frame[RANK] = np.concatenate([part.rank for part in parts])
        return frame

    def slate(self, n_users: int = 20, n_candidates: int = 25, *, seed: int = 0) -> pd.DataFrame:
        """Candidates to score at the end of the log: a fifth the oracle's best, the rest random unseen items.

        Returns:
            `user_id, item_id`, shuffled within each user; users drawn at random among the active.
        """
        rng = np.random.default_rng(seed)
        active = np.sort(self.interactions[USER].unique())
        users = np.sort(rng.choice(active, size=min(n_users, len(active)), replace=False))
        ranked = self.oracle(pd.DataFrame({USER: users}))
        draw = pd.Series(rng.random(len(ranked))) - (ranked[RANK] <= n_candidates // 5)
        chosen = ranked[draw.groupby(ranked[USER]).rank(method="first") <= n_candidates]
        mixed = chosen.iloc[rng.permutation(len(chosen))].sort_values(USER, kind="stable")
        return mixed[[USER, ITEM]].reset_index(drop=True)


def make_world(
    n_users: int = 1200,
    n_items: int = 500,
    *,
    mean_interactions: float = 40.0,
    days: float = 180.0,
    seed: int = 0,
    order_matters: bool = True,
    strengths: Strengths | None = None,
) -> World:
    """A world of users who visit over `days` from 2024-01-01, the same for the same arguments.

    Tastes lean on age and country and turn once; the last items of a session call for their like; a liked
    volume calls for the next of its series, the more the fresher it is. With `order_matters=False` items are
    drawn by popularity alone: no history, order or candidate helps there. Some users join later; so do some
    items, where order matters. `strengths` puts other weights on these causes.

    Raises:
        ConfigError: A size is too small.
    """
    for name, value, low in (
        ("n_users", n_users, 1),
        ("n_items", n_items, 2),
        ("mean_interactions", mean_interactions, 1),
        ("days", days, 1),
    ):
        if not value >= low:
            raise ConfigError(f"make_world: {name} must be at least {low}, got {value!r}.")
    rng = np.random.default_rng(seed)
    catalog = make_catalog(rng, n_items, days, arriving=0.15 if order_matters else 0.0)
    people = make_population(rng, n_users, days, joining=0.2)
    process = Process(
        popularity=catalog.popularity,
        genres=catalog.genres,
        sequel=catalog.sequel,
        available_from=catalog.available_from,
        early=people.early,
        late=people.late,
        turn=people.turn,
        strengths=strengths or (Strengths() if order_matters else PLAIN),
    )
    users, times = make_visits(rng, people.joined, days, mean_interactions, longest=max(1, n_items // 4))
    items, liked = walk(rng, process, users, times)
    bought = liked & (rng.random(len(users)) < 0.25)
    order = np.lexsort((users, times))
    order = order[items[order] >= 0]
    frame = pd.DataFrame(
        {
            USER: people.frame[USER].to_numpy()[users[order]],
            ITEM: catalog.frame[ITEM].to_numpy()[items[order]],
            TIME: times[order],
            EVENT: np.array([VIEW, "like", "purchase"], dtype=object)[(liked.astype(int) + bought)[order]],
        }
    )
    return World(frame, catalog.frame, people.frame, process)


class _Ranked(NamedTuple):
    row: Ints  # place of the request
    item: Ints
    score: Floats
    rank: Ints


def _rank(process: Process, log: Log, users: Ints, times: Ints, k: int | None, exclude_seen: bool) -> _Ranked:
    past = log.before(users, times)
    chance = process.probabilities(users, times, past)
    shown = times[:, None] >= process.available_from
    if exclude_seen:
        row, place = np.nonzero(past.items >= 0)
        shown[row, past.items[row, place]] = False
    order = np.argsort(np.where(shown, -chance, np.inf), axis=1, kind="stable")[:, :k]
    row, place = np.nonzero(np.take_along_axis(shown, order, axis=1))
    item = order[row, place]
    return _Ranked(row, item, chance[row, item], place + 1)
