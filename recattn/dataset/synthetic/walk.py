"""Drawing the interactions of a generated world from its law."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recattn.dataset.synthetic.process import Ints, Past, Process


def walk(rng: np.random.Generator, process: Process, users: Ints, times: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The items [R] taken at each visit and whether they were liked [R], step by step for all users at once.

    Args:
        users: Users [R], grouped.
        times: Seconds [R], growing within a user.

    Returns:
        Items, -1 where the user had nothing left to take; likes.
    """
    who, first, count = np.unique(users, return_index=True, return_counts=True)
    longest_first = np.argsort(-count, kind="stable")
    who, first, count = who[longest_first], first[longest_first], count[longest_first]
    steps = np.arange(count.max(initial=0))
    there = steps < count[:, None]
    when = times[np.where(there, first[:, None] + steps, 0)]
    items = np.full(there.shape, -1, dtype=np.int64)
    liked = np.zeros(there.shape, dtype=bool)
    for step in steps:
        active = int((count > step).sum())
        past = Past(items[:active, :step], when[:active, :step], liked[:active, :step])
        user, now = who[:active], when[:active, step]
        up_to = process.probabilities(user, now, past).cumsum(axis=1)
        dart = rng.random(active) * up_to[:, -1]
        taken = np.minimum((up_to <= dart[:, None]).sum(axis=1), up_to.shape[1] - 1)
        items[:active, step] = np.where(up_to[:, -1] > 0, taken, -1)
        liked[:active, step] = rng.random(active) < process.liking(user, now, taken)
    back = np.empty(len(users), dtype=np.int64)
    row, step = np.nonzero(there)
    back[first[row] + step] = np.arange(len(row))
    return items[there][back], liked[there][back]
