"""The items, users, and visiting times of a generated world."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from recattn.dataset.synthetic.process import DAY, Floats, Ints
from recattn.schema.columns import AVAILABLE_FROM, ITEM, USER

START = 1_704_067_200  # 2024-01-01 00:00 UTC
GENRES = (
    "action animation comedy crime documentary drama fantasy history horror mystery romance science"
).split()
COUNTRIES = ("BR", "DE", "ES", "IN", "JP", "US")
FIRST = (
    "Amber Bitter Broken Burning Crimson Distant Empty Endless Frozen Gentle Golden Hidden Hollow Iron Last Lonely "
    "Lost Northern Pale Quiet Restless Scarlet Silent Wandering"
).split()
SECOND = (
    "Anchor Bridge Canyon Circle Coast Engine Forest Garden Harbor Island Kingdom Lantern Library Meadow Mirror "
    "Mountain Orchard Palace River Road Shadow Station Tower Voyage"
).split()


class Catalog(NamedTuple):
    """The items of a world: the frame that is shown, the arrays that act."""

    frame: pd.DataFrame  # item_id, title, series, genres, year, price, available_from
    popularity: Floats  # [N] log
    genres: Floats  # [N, K] rows of unit length
    sequel: Ints  # [N] -1 for none
    available_from: Ints  # [N]


class Population(NamedTuple):
    """The users of a world: the frame that is shown, the arrays that act."""

    frame: pd.DataFrame  # user_id, age, country
    early: Floats  # [U, K]
    late: Floats  # [U, K]
    turn: Ints  # [U]
    joined: Ints  # [U]


def ids(letter: str, count: int) -> npt.NDArray[np.object_]:
    """Ids like `u0001`, in order."""
    width = max(4, len(str(count)))
    return np.array([f"{letter}{number:0{width}d}" for number in range(1, count + 1)], dtype=object)


def make_catalog(rng: np.random.Generator, n_items: int, days: float, arriving: float) -> Catalog:
    """Items in series of three to seven volumes of one flavour; a share `arriving` of them comes later."""
    lengths = rng.integers(3, 8, size=n_items)
    series = np.repeat(np.arange(n_items), lengths)[:n_items]
    volume = np.arange(n_items) - np.searchsorted(series, series)
    code = rng.permutation(n_items)  # so that neighbouring ids tell nothing
    sequel = np.full(n_items, -1, dtype=np.int64)
    follows = np.nonzero(series[1:] == series[:-1])[0]
    sequel[code[follows]] = code[follows + 1]

    chosen = np.argsort(rng.random((n_items, len(GENRES))), axis=1)[series]
    count = rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2], size=n_items)
    member = np.zeros((n_items, len(GENRES)))
    for place in range(3):
        has = np.nonzero(count > place)[0]
        member[has, chosen[has, place]] = 1.0

    zipf = -np.log(rng.permutation(n_items) + 10.0)
    late = (rng.random(n_items) < arriving) & (sequel_place(series) > 0)
    released = START + np.where(late, rng.uniform(0, days * DAY, n_items), 0).astype(np.int64)
    price = np.round(np.exp(rng.normal(2.4, 0.5, n_items)), 2)
    price[rng.random(n_items) < 0.02] = np.nan
    names = [_name(number) for number in range(n_items)]
    order = np.argsort(code)
    frame = pd.DataFrame(
        {
            ITEM: ids("i", n_items),
            "title": [f"{names[series[row]]} {volume[row] + 1}" for row in order],
            "series": [names[series[row]] for row in order],
            "genres": ["|".join(np.array(GENRES)[member[row] > 0]) for row in order],
            "year": (1990 + rng.integers(0, 25, n_items)[series] + volume)[order],
            "price": price[order],
            AVAILABLE_FROM: released[order],
        }
    )
    genres = member / np.linalg.norm(member, axis=1, keepdims=True)
    return Catalog(frame, zipf[order], genres[order], sequel, released[order])
