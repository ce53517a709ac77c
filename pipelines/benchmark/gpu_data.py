"""Data of ml-1m's size and form, generated; nothing to download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import recattn as ra

USERS, ITEMS, MEDIAN, SPREAD, LONGEST = 6040, 3416, 96, 1.05, 2277


def read_or_make(data: str | None, *, users: int = USERS, items: int = ITEMS, seed: int = 0) -> ra.Split:
    """Leave-one-out on a folder's `interactions.parquet`, or on `make_log`; order only, as ml-1m is."""
    if data is None:
        log = make_log(users, items, seed=seed)
    else:
        log = pd.read_parquet(Path(data) / "interactions.parquet", columns=["user_id", "item_id", "timestamp"])
    return ra.leave_last_out(log, time="order")


def make_log(users: int, items: int, *, seed: int = 0) -> pd.DataFrame:
    """Histories of log-normal length; half the steps go to a neighbour of the item before, the rest by popularity.

    A neighbour is one of the four items after it on a hidden circle, so that there is an order to learn.
    """
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(np.log(MEDIAN), SPREAD, users), 5, min(LONGEST, items // 2)).astype(np.int64)
    circle = rng.permutation(items)
    place = np.argsort(circle)
    chance = 1 / (np.arange(items) + 10.0)
    popular = rng.permutation(items)[rng.choice(items, (lengths.max(), users), p=chance / chance.sum())]
    here, steps = popular[0], [popular[0]]
    for at in range(1, lengths.max()):
        near = circle[(place[here] + rng.integers(1, 5, users)) % items]
        here = np.where(rng.random(users) < 0.5, near, popular[at])
        steps.append(here)
    taken = np.stack(steps, axis=1)
    row, column = np.nonzero(np.arange(taken.shape[1]) < lengths[:, None])
    log = pd.DataFrame({"user_id": row, "item_id": taken[row, column], "timestamp": column})
    return log.drop_duplicates(["user_id", "item_id"], ignore_index=True)
