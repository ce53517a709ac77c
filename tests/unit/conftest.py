"""A small log with everything in it, as the frames and carriers that the rooms are tested with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, ModelConfig, Multi, Numeric
from recattn.dataset.features import FittedFeatures
from recattn.dataset.history import HistoryStore
from recattn.dataset.tables import ItemTable, UserTable
from recattn.dataset.vocabulary import Vocabulary

if TYPE_CHECKING:
    from recattn.batching.assemble import Assembler

LENGTHS = (7, 1, 3, 12, 2, 9)
CATALOG = [f"i{number}" for number in range(14)]  # the last two are in no log
START = 1_700_000_000


@dataclass(frozen=True)
class Scene:
    """One log with its tables."""

    log: pd.DataFrame
    items: pd.DataFrame
    store: HistoryStore
    table: ItemTable
    users: UserTable
    context: FittedFeatures

    def assembler(self, config: ModelConfig) -> Assembler:
        """Batches with all inputs there are."""
        from recattn.batching.assemble import Assembler

        return Assembler(self.store, config, self.users, self.context)


def make_log(seed: int = 0, lengths: tuple[int, ...] = LENGTHS) -> pd.DataFrame:
    """Users u0, u1 ... in shuffled rows; a third of the neighbours share a moment."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(len(lengths)), lengths)
    gaps = rng.choice([0, 1, 70, 4_000, 300_000], size=len(users), p=[0.35, 0.1, 0.15, 0.2, 0.2])
    weights = rng.choice([0.5, 3.0, np.nan], size=len(users)).astype(np.float32)
    log = pd.DataFrame(
        {
            "user_id": [f"u{user}" for user in users],
            "item_id": rng.choice(CATALOG[:12], size=len(users)),
            "timestamp": START + np.cumsum(gaps),
            "event_type": rng.choice(["view", "buy", "cart"], size=len(users)),
            "weight": weights,
            "device": rng.choice(["phone", "desk"], size=len(users)),
            "hour": rng.integers(0, 24, size=len(users)).astype(float),
        }
    )
    return log.iloc[rng.permutation(len(log))].reset_index(drop=True)


def make_items() -> pd.DataFrame:
    """One row an item; some values missing, one item with a kind that no trained item has."""
    kinds = ["film", "book", "song", None] * 3 + ["film", "play"]
    tags = ["x|y", "y", None, "x|y|z", "z", "x"] * 2 + ["x|new", None]
    price = [1.0, 5.0, np.nan, 2.5, 8.0, 3.0, 0.5] * 2
    return pd.DataFrame({"item_id": CATALOG, "kind": kinds, "tags": tags, "price": price})


def make_scene(log: pd.DataFrame, time: Any = "timestamp") -> Scene:
    """Carriers of a log; order-only ones number each user's rows."""
    if time == "order":
        log = log.sort_values("timestamp", kind="stable")
        log = log.assign(timestamp=log.groupby("user_id").cumcount()).sort_index()
    items, vocabulary = make_items(), Vocabulary("item_id", CATALOG)
    behaviours = Vocabulary("event_type", ["buy", "cart", "view"])
    store = HistoryStore.from_frame(log, vocabulary, behaviours=behaviours, time=time, extras=["device", "hour"])
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(5)], "age": [20.0, 31, 47, np.nan, 5]})
    specs = [Categorical("kind"), Multi("tags"), Numeric("price")]
    return Scene(
        log=log,
        items=items,
        store=store,
        table=ItemTable.build(vocabulary, trained=np.arange(1, 13), items=items, specs=specs),
        users=UserTable.build(users, [Numeric("age")]),
        context=FittedFeatures.fit([Categorical("device"), Numeric("hour")], log, what="context"),
    )


@pytest.fixture(scope="session")
def build_log() -> Callable[..., pd.DataFrame]:
    """`build_log(seed, lengths)`: a canonical frame."""
    return make_log


@pytest.fixture(scope="session")
def build_scene() -> Callable[..., Scene]:
    """`build_scene(log, time)`: its carriers."""
    return make_scene


@pytest.fixture(scope="session")
def scene() -> Scene:
    """The standard log and its carriers; nobody changes them."""
    return make_scene(make_log())
