"""The items, users, and visiting times of a generated world."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from recattn.dataset.synthetic.process import DAY, Floats, Ints
from recattn.schema.columns import AVAILABLE_FROM, ITEM, USER

START = 1_704_067_200  # 2024-01-01 00:00 UTC
COUNTRIES = ("BR", "DE", "ES", "IN", "JP", "US")
_GENRES = "action animation comedy crime documentary drama fantasy history horror mystery romance science"
_FIRST = """
Amber Bitter Broken Burning Crimson Distant Empty Endless Frozen Gentle Golden Hidden
Hollow Iron Last Lonely Lost Northern Pale Quiet Restless Scarlet Silent Wandering
"""
_SECOND = """
Anchor Bridge Canyon Circle Coast Engine Forest Garden Harbor Island Kingdom Lantern
Library Meadow Mirror Mountain Orchard Palace River Road Shadow Station Tower Voyage
"""
GENRES, FIRST, SECOND = _GENRES.split(), _FIRST.split(), _SECOND.split()


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
    """Items in series of three to seven volumes; a share `arriving` of those after the first comes later."""
    series = np.repeat(np.arange(n_items), rng.integers(3, 8, size=n_items))[:n_items]
    volume = np.arange(n_items) - np.searchsorted(series, series)
    code = rng.permutation(n_items)  # so that neighbouring ids tell nothing
    sequel = np.full(n_items, -1, dtype=np.int64)
    follows = np.nonzero(series[1:] == series[:-1])[0]
    sequel[code[follows]] = code[follows + 1]

    flavour = np.argsort(rng.random((n_items, len(GENRES))), axis=1)[series, :3]
    count = rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2], size=n_items)
    member = np.zeros((n_items, len(GENRES)), dtype=bool)
    for place in range(3):
        has = np.nonzero(count > place)[0]
        member[has, flavour[has, place]] = True

    popularity = -np.log(rng.permutation(n_items) + 10.0)
    late = (volume > 0) & (rng.random(n_items) < arriving)
    released = START + np.where(late, rng.uniform(0, days * DAY, n_items), 0).astype(np.int64)
    price = np.round(np.exp(rng.normal(2.4, 0.5, n_items)), 2)
    price[rng.random(n_items) < 0.02] = np.nan
    year = 1990 + rng.integers(0, 25, n_items)[series] + volume

    names = np.array([_name(number) for number in range(n_items)], dtype=object)[series]
    rows = pd.DataFrame(
        {
            "title": [f"{name} {number}" for name, number in zip(names, volume + 1, strict=True)],
            "series": names,
            "genres": ["|".join(np.array(GENRES)[row]) for row in member],
            "year": year,
            "price": price,
            AVAILABLE_FROM: released,
        }
    )
    order = np.argsort(code)
    frame = rows.iloc[order].reset_index(drop=True)
    frame.insert(0, ITEM, ids("i", n_items))
    genres = member / np.linalg.norm(member, axis=1, keepdims=True)
    return Catalog(frame, popularity[order], genres[order], sequel, released[order])


def make_population(rng: np.random.Generator, n_users: int, days: float, joining: float) -> Population:
    """Users whose tastes lean on age and country, then turn once; a share `joining` of them comes later."""
    age = rng.integers(16, 76, n_users)
    country = rng.integers(0, len(COUNTRIES), n_users)
    by_age = rng.normal(size=(4, len(GENRES)))
    by_country = rng.normal(size=(len(COUNTRIES), len(GENRES)))
    shared = 0.5 * by_age[(age - 16) // 15] + 0.5 * by_country[country]
    early = shared + np.sqrt(0.5) * rng.normal(size=(n_users, len(GENRES)))
    late = shared + np.sqrt(0.5) * rng.normal(size=(n_users, len(GENRES)))
    joins = np.where(rng.random(n_users) < joining, rng.uniform(0, 0.95, n_users), 0.0)
    turns = joins + (1 - joins) * rng.uniform(0.1, 0.9, n_users)
    frame = pd.DataFrame({USER: ids("u", n_users), "age": age, "country": np.array(COUNTRIES, dtype=object)[country]})
    start = np.int64(START)
    return Population(
        frame,
        early,
        late,
        start + (turns * days * DAY).astype(np.int64),
        start + (joins * days * DAY).astype(np.int64),
    )


def make_visits(rng: np.random.Generator, joined: Ints, days: float, mean: float, longest: int) -> tuple[Ints, Ints]:
    """Users [R] and times [R] of all interactions, by user and then time; no user has two in one second.

    Sessions of four on average start anywhere between joining and the end; their steps take some two minutes.
    """
    end = START + int(days * DAY)
    stay = end - joined
    wished = mean * stay / (days * DAY) * rng.lognormal(-0.125, 0.5, len(joined))
    count = np.clip(np.rint(wished), 1, longest).astype(np.int64)
    users = np.repeat(np.arange(len(joined)), count)
    first = np.r_[True, users[1:] != users[:-1]] | (rng.random(len(users)) < 0.25)
    moment = joined[users] + rng.random(len(users)) * (stay - np.minimum(stay, DAY) / 4)[users]
    step = rng.lognormal(np.log(120.0), 0.7, len(users))
    walked = np.cumsum(np.where(first, 0.0, step))
    session = np.nonzero(first)[0][np.cumsum(first) - 1]
    times = (moment[session] + walked - walked[session]).astype(np.int64)
    order = np.lexsort((times, users))
    lane = users * (4 * np.int64(days * DAY) + 4 * len(users))  # one number line for all users, far apart
    place = np.arange(len(users))
    spread = np.maximum.accumulate(times[order] - START + lane - place) + place
    return users, spread - lane + START


def _name(number: int) -> str:
    name = f"{FIRST[number % len(FIRST)]} {SECOND[number // len(FIRST) % len(SECOND)]}"
    edition = number // (len(FIRST) * len(SECOND))
    return f"{name} {chr(ord('A') + edition % 26)}{edition}" if edition else name
