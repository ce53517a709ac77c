"""Everything that recommends, behind one way to fit it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from recattn.baselines import ItemKNN, Popularity, Recency

KINDS = ("Recommender", "Popularity", "ItemKNN", "Recency")
ORDERED = KINDS[:3]  # those that can do without times


@pytest.fixture(scope="session")
def fit(small_model: Callable[..., Any], small_train: Callable[..., Any], one_thread: None) -> Callable[..., Any]:
    """`fit(kind, log, items=, time=, **train)`: a fitted recommender of that kind; `train` is for those that train."""

    def run(
        kind: str, log: pd.DataFrame, *, items: pd.DataFrame | None = None, time: Any = "timestamp", **train: Any
    ) -> Any:
        if kind == "Recommender":
            from recattn.recommender import Recommender

            made = Recommender(small_model(time=time), small_train(**({"max_epochs": 1} | train)))
            return made.fit(log, items=items)
        baselines: dict[str, Any] = {"Popularity": Popularity(), "ItemKNN": ItemKNN(), "Recency": Recency()}
        return baselines[kind].fit(log, items=items, time=time)

    return run


@pytest.fixture(scope="session")
def fitted(fit: Callable[..., Any], world: Any) -> dict[str, Any]:
    """One of each kind, fitted on the shared world. Nobody fits them again."""
    return {kind: fit(kind, world.train, items=world.items) for kind in KINDS}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, fitted: dict[str, Any]) -> Any:
    """Each kind in turn."""
    return fitted[request.param]
