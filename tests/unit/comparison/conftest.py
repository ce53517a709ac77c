"""Reports of made recommenders, some better than others by a known margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.evaluation import MRR, NDCG, Report, evaluate

MakeReport = Callable[..., Report]
USERS = 300


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """A report of 300 users with two requests each; `found` of the targets stand somewhere in the lists."""

    def make(found: float, seed: int = 0, users: int = USERS, **policy: Any) -> Report:
        truth, lists = asked(users), ranked(found, seed, users)
        segments = truth.assign(history_length=truth["user_id"] % 30, cold=truth["user_id"] % 3 == 0)
        segments = segments.drop(columns="item_id")
        return evaluate(lists, truth, [NDCG(10), MRR(10)], segments=segments, policy={"ties": "exclude", **policy})

    return make


@pytest.fixture(scope="session")
def make_lists() -> Callable[..., pd.DataFrame]:
    """The lists that `make_report` judges."""
    return ranked


def asked(users: int = USERS) -> pd.DataFrame:
    requests = np.arange(2 * users)
    return pd.DataFrame({"request_id": requests, "user_id": requests // 2, "item_id": requests % 50})


def ranked(found: float, seed: int = 0, users: int = USERS) -> pd.DataFrame:
    """Lists of ten: the target at a random place for a share `found` of requests; the rest are other items."""
    rng, truth = np.random.default_rng(seed), asked(users)
    places = np.where(rng.random(len(truth)) < found, rng.integers(1, 11, len(truth)), 0)
    lists = truth.loc[truth.index.repeat(10)].reset_index(drop=True)
    lists["rank"] = np.tile(np.arange(1, 11), len(truth))
    hit = np.repeat(places, 10) == lists["rank"]
    return lists.assign(item_id=np.where(hit, lists["item_id"], 100 + (lists["rank"] * 7 + lists["item_id"]) % 60))
