"""A small world with models fitted on it, for every room that needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from recattn.config import Categorical, ModelConfig, Multi, Numeric, TrainConfig

if TYPE_CHECKING:
    from recattn.recommender import Recommender

START = 1_700_000_000
USERS, ITEMS, STEPS = 12, 12, 9


@dataclass(frozen=True)
class World:
    """Users who walk round a circle of items, one step an hour: after i03 comes i04. Nobody changes the frames."""

    log: pd.DataFrame
    items: pd.DataFrame  # the circle's items with two that nobody touched, i12 and i13
    users: pd.DataFrame  # all but the last user

    @cached_property
    def train(self) -> pd.DataFrame:
        """Everyone's first 7 interactions."""
        return self.log[self.log["timestamp"] < START + 7 * 3600].reset_index(drop=True)

    @cached_property
    def valid(self) -> pd.DataFrame:
        """Everyone's last 2 interactions."""
        return self.log[self.log["timestamp"] >= START + 7 * 3600].reset_index(drop=True)


def make_world() -> World:
    """The world; the same at every call."""
    rows = [
        (
            f"u{user:02}",
            f"i{(5 * user + step) % ITEMS:02}",
            START + 3600 * step + 60 * user,
            "buy" if (user + step) % 3 == 0 else "view",
            1.0 + (user + step) % 5,
            "phone" if (user + step) % 2 else "desk",
            float((user + step) % 24),
        )
        for step in range(STEPS)
        for user in range(USERS)
    ]
    columns = ["user_id", "item_id", "timestamp", "event_type", "weight", "device", "hour"]
    numbers = range(ITEMS + 2)
    items = pd.DataFrame(
        {
            "item_id": [f"i{number:02}" for number in numbers],
            "kind": [("film", "book", "song")[number % 3] for number in numbers],
            "tags": [("x|y", "y", None, "x|y|z")[number % 4] for number in numbers],
            "price": [None if number == 5 else 1.0 + number for number in numbers],
        }
    )
    users = pd.DataFrame(
        {
            "user_id": [f"u{user:02}" for user in range(USERS - 1)],
            "plan": [("free", "paid")[user % 2] for user in range(USERS - 1)],
            "age": [20.0 + user for user in range(USERS - 1)],
        }
    )
    return World(pd.DataFrame(rows, columns=columns), items, users)


def model_config(**changes: Any) -> ModelConfig:
    """The smallest model that has every part."""
    small = {"dim": 8, "num_heads": 2, "num_layers": 1, "deep_layers": 1, "score": "deep", "attention": "both"}
    return ModelConfig(**(small | {"max_history": 10, "dropout": 0.1} | changes))


def train_config(**changes: Any) -> TrainConfig:
    """Two epochs of three steps."""
    small = {"max_epochs": 2, "batch_size": 4, "learning_rate": 0.01, "warmup_steps": 2, "num_negatives": 6}
    alike = {"head_positions": 4, "valid_requests": None, "precision": "float32", "seed": 3}  # on every machine
    return TrainConfig(**(small | alike | changes))


FEATURES: dict[str, Any] = {
    "item_features": (Categorical("kind"), Multi("tags"), Numeric("price")),
    "user_features": (Categorical("plan"), Numeric("age")),
    "context_features": (Categorical("device"), Numeric("hour")),
}


@pytest.fixture(scope="session")
def world() -> World:
    """The shared world."""
    return make_world()


@pytest.fixture(scope="session")
def small_model() -> Callable[..., ModelConfig]:
    """`small_model(dim=4)`: a tiny ModelConfig with changes."""
    return model_config


@pytest.fixture(scope="session")
def small_train() -> Callable[..., TrainConfig]:
    """`small_train(seed=1)`: a short TrainConfig with changes."""
    return train_config


@pytest.fixture(scope="session")
def features() -> dict[str, Any]:
    """The feature arguments of a Recommender that uses all the world has."""
    return FEATURES


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """One thread of torch, so that sums are taken in one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def plain(world: World, one_thread: None) -> Recommender:
    """Fitted on the interactions alone. Nobody fits it again."""
    from recattn.recommender import Recommender

    return Recommender(model_config(), train_config()).fit(world.train)


@pytest.fixture(scope="session")
def rich(world: World, one_thread: None) -> Recommender:
    """Fitted with all features, its weights stirred so that every part of the scores counts."""
    from recattn.recommender import Recommender

    model = Recommender(model_config(use_weights=True), train_config(), **FEATURES)
    model.fit(world.train, items=world.items, users=world.users)
    add_noise(model)
    return model


@pytest.fixture(scope="session")
def stir() -> Callable[[Recommender], None]:
    """`stir(model)`: all weights moved, so that every part of the scores counts."""
    return add_noise


def add_noise(model: Recommender, seed: int = 5, size: float = 0.3) -> None:
    """Add noise to all weights in place, those that start at zero among them."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.scorer.named_parameters():
            noise = size * torch.randn(weight.shape, generator=generator)
            if name == "items.ids.weight":
                noise[0] = 0  # padding
            weight += noise
