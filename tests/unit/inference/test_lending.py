from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.synthetic import make_world
from recattn.inference.lending import lent
from recattn.recommender import Recommender

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world():
    return make_world(40, 30, mean_interactions=10, seed=2)


@pytest.fixture(scope="module")
def model(world, stir) -> Recommender:
    config = ModelConfig(dim=8, num_heads=2, num_layers=1, score="deep", attention="both", max_history=12, dropout=0.5)
    model = Recommender(config, TrainConfig(max_epochs=1, batch_size=16, precision="float32"))
    model.fit(world.interactions)
    stir(model)
    return model


def test_eight_threads_get_the_answers_of_one(world, model) -> None:
    log = world.interactions
    users = log["user_id"].unique()
    slates = [log[["user_id", "item_id"]].sample(60, random_state=seed).reset_index(drop=True) for seed in range(16)]

    def ask(number: int) -> tuple[np.ndarray, ...]:
        scores = model.score(slates[number], history=log, threads=1 + number % 2)["score"].to_numpy()
        lists = model.recommend(users[number : number + 5], history=log, k=4)
        changes = model.explain(slates[number].head(5), history=log)["change"].to_numpy()
        return scores, lists["item_id"].to_numpy(), lists["score"].to_numpy(), changes

    before = torch.get_num_threads()
    alone = [ask(number) for number in range(len(slates))]
    model.scorer.train()  # a scorer that is given back in training mode must not be so to those still inside
    try:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(ask, range(len(slates))))
        assert model.scorer.training
    finally:
        model.scorer.eval()
    for one, other in zip(alone, together, strict=True):
        assert (one[1] == other[1]).all()
        for place in (0, 2, 3):
            np.testing.assert_allclose(one[place], other[place], rtol=1e-5, atol=1e-6)
    assert torch.get_num_threads() == before


def test_a_module_is_given_back_by_the_last_of_its_users() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    module.train()
    first_left, second_in = threading.Event(), threading.Event()
    seen: list[bool] = []

    def second() -> None:
        with lent(module, CPU, None):
            second_in.set()
            first_left.wait(5)
            seen.append(module.training)

    thread = threading.Thread(target=second)
    with lent(module, CPU, None):
        thread.start()
        second_in.wait(5)
    first_left.set()
    thread.join()
    assert seen == [False]
    assert module.training


def test_another_device_waits_until_the_first_is_done() -> None:
    class Anywhere(nn.Linear):
        def to(self, *_: object, **__: object) -> Anywhere:
            return self

    module, order = Anywhere(2, 2), list[str]()

    def elsewhere() -> None:
        with lent(module, torch.device("meta"), None):
            order.append("elsewhere")

    thread = threading.Thread(target=elsewhere)
    with lent(module, CPU, None):
        thread.start()
        thread.join(0.1)
        order.append("here")
    thread.join(5)
    assert order == ["here", "elsewhere"]
