"""Tests of the choice of the memory's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.config import ModelConfig
from recattn.dataset.split import Split
from recattn.evaluation import NDCG, evaluate
from recattn.nn.scorer import Scorer
from recattn.recommender import Recommender
from recattn.schema import read_interactions
from recattn.training import DataModule, memory_weights
from recattn.training.memory_weights import Contest, choose_weights, likeliest_weights
from recattn.training.prepare import FitData, Specs, prepare_fit

LONE = {"score": "attention", "attention": "transitions"}  # no learned term beside the retrieval score
START, HOUR = 1_700_000_000, 3600


def chosen(data: FitData, scorer: Scorer) -> list[float]:
    """The weights chosen for a scorer on the validation of `data`."""
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train, data.validation)
    batches = module.truth_batches(module.validation)
    told = choose_weights(scorer.eval(), (batches[i] for i in range(len(batches))), len(module.validation.requests))
    weights = scorer.memory.weights.tolist()
    assert told == {f"memory_weight_{place}": weight for place, weight in enumerate(weights)}
    return weights


def log_of(items: np.ndarray) -> pd.DataFrame:
    """One row of `items` a user, one interaction an hour."""
    users, steps = items.shape
    return pd.DataFrame(
        {
            "user_id": np.repeat([f"u{user:02}" for user in range(users)], steps),
            "item_id": [f"i{item:02}" for item in items.ravel()],
            "timestamp": START + HOUR * np.tile(np.arange(steps), users),
        }
    )


@pytest.fixture(scope="module")
def prepare(small_model: Callable[..., ModelConfig], small_train: Callable[..., Any]) -> Callable[..., FitData]:
    """`prepare(log, target="all", score="deep")`: the last two hours are for validation."""

    def run(log: pd.DataFrame, target: str = "successive", **model: Any) -> FitData:
        late = log["timestamp"] >= log["timestamp"].max() - HOUR
        config, settings = small_model(**(LONE | model)), small_train(valid_target=target)
        train, valid = (read_interactions(part) for part in (log[~late], log[late]))
        return prepare_fit(train, valid, None, None, Specs(), config, settings)

    return run


def opinionated(data: FitData, biases: np.ndarray) -> Scorer:
    """A scorer whose learned scores are these biases [N], whatever the history, with the transitions of train."""
    scorer = data.blueprint.build().eval()
    scorer.memory.fill(data.assembler.store)
    with torch.no_grad():
        scorer.items.ids.weight.zero_()
        scorer.items.bias.weight[scorer.items.id_rows[1:], 0] = torch.from_numpy(biases).float()
    return scorer


def ndcg(data: FitData, scorer: Scorer) -> float:
    """NDCG@10 of the scorer on the validation, by the general road."""
    from recattn.inference.model import FittedModel

    model = Recommender(data.blueprint.config)
    model._model = FittedModel(data.blueprint, scorer)
    store = data.validation.assembler.store
    log = store.to_frame()
    last = log["timestamp"] >= log["timestamp"].max() - HOUR
    part = last.to_numpy().astype(np.int8)
    target = data.blueprint.train.valid_target
    split = Split(log, part, None, None, "timestamp", data.blueprint.config.ties, leaks=False)
    found = model.recommend(split.requests("valid", target), history=log, k=10)
    return evaluate(found, split.truth("valid", target), [NDCG(10)], seen="drop").summary["ndcg_at_10"]


def test_where_transitions_decide_they_weigh_much(prepare: Any) -> None:
    """A walk round 30 items; the learned scores are noise, which only a large weight drowns."""
    walk = (7 * np.arange(25)[:, None] + np.arange(12)) % 30
    data = prepare(log_of(walk))
    scorer = opinionated(data, np.random.default_rng(0).normal(0, 3, 30))
    weights = chosen(data, scorer)
    assert sum(weights) >= 0.8
    right = ndcg(data, scorer)
    scorer.memory.weights.zero_()
    assert right > 0.95
    assert ndcg(data, scorer) < 0.4


def test_where_transitions_are_noise_they_weigh_nothing(prepare: Any) -> None:
    """Items are drawn by popularity alone, which the learned scores know."""
    rng = np.random.default_rng(1)
    shares = 0.8 ** np.arange(30)
    draws = np.stack([rng.choice(30, 10, replace=False, p=shares / shares.sum()) for _ in range(80)])
    data = prepare(log_of(draws))
    known = [int(item[1:]) for item in data.blueprint.table.vocabulary.ids]
    scorer = opinionated(data, np.log(shares[known]))
    assert sum(chosen(data, scorer)) < 0.1


@pytest.mark.parametrize("target", ["last", "successive", "all"])
@pytest.mark.parametrize("parts", [LONE, {"score": "deep", "attention": "both"}])
def test_their_scale_is_that_of_the_highest_ndcg(
    prepare: Any, monkeypatch: pytest.MonkeyPatch, target: str, parts: dict[str, Any]
) -> None:
    """Held against recommending and evaluating at each scale; of unequal numbers of truths, some unknown."""
    rng = np.random.default_rng(3)
    items = (rng.integers(0, 40, (30, 1)) + rng.integers(1, 4, (30, 9)).cumsum(axis=1)) % 40
    log = log_of(items)
    late = log["timestamp"] >= log["timestamp"].max() - HOUR
    log = log[~late | (rng.random(len(log)) < 0.8)]  # some have one truth, some none
    log.loc[log.index[-1], "item_id"] = "unknown"
    data = prepare(log, target, **parts)
    scorer = opinionated(data, rng.normal(0, 2, len(data.blueprint.table) - 1))
    if scorer.deep_out is not None:
        torch.nn.init.normal_(scorer.deep_out.weight, generator=torch.Generator().manual_seed(0))
    scales = (0.0, 0.2, 0.5, 1.0, 2.5)
    monkeypatch.setattr(memory_weights, "SCALES", (1.0,))
    likely = torch.tensor(chosen(data, scorer))
    values = []
    for scale in scales:
        scorer.memory.weights.copy_(scale * likely)
        values.append(round(ndcg(data, scorer), 9))
    monkeypatch.setattr(memory_weights, "SCALES", scales)
    assert chosen(data, scorer) == pytest.approx((scales[int(np.argmax(values))] * likely).tolist())
    assert max(values) > min(values) + 0.05, "the weights hardly matter: the test shows little"


def contest_of(scores: Any, found: Any, truth: list[list[int]]) -> Contest:
    """Requests over a catalog whose item c is column c - 1."""
    scores, found = torch.tensor(scores).float(), torch.tensor(found).float()
    return Contest.of(scores, found, torch.tensor(truth), torch.arange(scores.shape[1] + 1) - 1)


def test_the_likeliest_weights_are_found_again() -> None:
    """Truths are drawn by the very softmax; learned scores are twice too sure of themselves."""
    rng = np.random.default_rng(0)
    scores, found = rng.normal(0, 2, (4000, 30)), rng.exponential(1, (3, 4000, 30)) * (rng.random((3, 4000, 30)) < 0.3)
    chances = torch.from_numpy(0.5 * scores + 0.6 * found[0] + 0.2 * found[1]).softmax(dim=1)
    truth = 1 + torch.multinomial(chances, 1, generator=torch.Generator().manual_seed(0))
    likely = likeliest_weights([contest_of(scores, found, truth.tolist())], 3)
    assert likely == pytest.approx([1.2, 0.4, 0.0], abs=0.15)
    assert (likely >= 0).all()


def test_the_slope_of_the_likelihood_is_that_of_finite_differences() -> None:
    """With padding, a miss, several truths, an item that may not be recommended, and a request without a truth."""
    rng = np.random.default_rng(1)
    scores, found = rng.normal(0, 2, (4, 12)), rng.exponential(1, (2, 4, 12)) * (rng.random((2, 4, 12)) < 0.5)
    scores[0, 3] = -np.inf
    contest = contest_of(scores, found, [[4, 2, 0], [1, -1, 7], [12, 11, 10], [0, 0, 0]])
    point = np.array([0.7, 0.4, 0.1])
    value, slope = contest.surprise(point)
    assert np.isfinite(value)
    for place in range(3):
        step = np.eye(3)[place] * 1e-2
        around = contest.surprise(point + step)[0] - contest.surprise(point - step)[0]
        assert slope[place] == pytest.approx(around / 2e-2, rel=1e-2)


def test_a_request_whose_items_are_all_seen_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    scores, found = rng.normal(0, 2, (3, 12)), rng.exponential(1, (1, 3, 12))
    scores[2] = -np.inf
    with_it, without = contest_of(scores, found, [[1], [2], [3]]), contest_of(scores[:2], found[:, :2], [[1], [2]])
    for one, other in zip(with_it.surprise(np.array([1.0, 0.5])), without.surprise(np.array([1.0, 0.5])), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert with_it.gain(np.array([0.5])) == without.gain(np.array([0.5]))


def gain(scores: list[float], truth: list[int], found: list[float] | None = None, weight: float = 0.0) -> float:
    """NDCG@10 of one request with one table."""
    return contest_of([scores], [[found or [0.0] * len(scores)]], [truth]).gain(np.array([weight]))


def test_a_truths_worth_hangs_on_how_many_there_are() -> None:
    """NDCG, not DCG: one truth found first is worth as much as ten at the first ten places."""
    scores = [-float(place) for place in range(12)]
    assert gain(scores, [1, 0, 0]) == 1.0
    assert gain(scores, list(range(1, 11))) == pytest.approx(1.0)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert gain(scores, [2, -1, 12]) == pytest.approx(1 / np.log2(3) / ideal)


def test_what_may_not_be_recommended_takes_no_place() -> None:
    scores = [-float("inf"), 3.0, 2.0, 1.0]
    assert gain(scores, [1]) == 0.0
    assert gain(scores, [2]) == 1.0


def test_items_that_no_table_knows_are_counted_as_far_as_they_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the ranks among all items, for truths that a table knows and for others."""
    monkeypatch.setattr(memory_weights, "RIVALS", 10)
    rng = np.random.default_rng(5)
    for weight in (0.0, 0.5, 2.0):
        for truth in range(1, 41):
            scores, found = rng.normal(0, 1, 40), np.where(rng.random(40) < 0.2, rng.exponential(1, 40), 0.0)
            total = scores + weight * found
            rank = int((total > total[truth - 1]).sum())
            expected = 1 / np.log2(rank + 2) if rank < 10 else 0.0
            assert gain(scores.tolist(), [truth], found.tolist(), weight) == pytest.approx(expected)


def test_the_learned_weights_stay_as_they_are(prepare: Any) -> None:
    data = prepare(log_of((5 * np.arange(12)[:, None] + np.arange(8)) % 20))
    scorer = opinionated(data, np.random.default_rng(0).normal(0, 3, 20))
    before = {name: value.clone() for name, value in scorer.state_dict().items()}
    chosen(data, scorer)
    after = scorer.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if name != "memory.weights")
    assert not torch.equal(after["memory.weights"], before["memory.weights"])


def test_the_weights_a_model_has_do_not_sway_the_choice(prepare: Any) -> None:
    data = prepare(log_of((5 * np.arange(12)[:, None] + np.arange(8)) % 20))
    found = []
    for start in (0.0, 5.0):
        scorer = opinionated(data, np.random.default_rng(0).normal(0, 3, 20))
        scorer.memory.weights.fill_(start)
        found.append(chosen(data, scorer))
    assert found[0] == found[1]


def test_a_large_catalog_is_judged_by_fewer_requests(prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepare(log_of((5 * np.arange(24)[:, None] + np.arange(8)) % 20))
    scorer = opinionated(data, np.zeros(20))
    asked: list[int] = []
    real = memory_weights.take
    monkeypatch.setattr(memory_weights, "take", lambda whole, rows: asked.extend(rows.tolist()) or real(whole, rows))
    chosen(data, scorer)
    every = len(asked)
    monkeypatch.setattr(memory_weights, "PAIRS", len(data.validation.requests) * 20 // 3)
    asked.clear()
    chosen(data, scorer)
    assert every == len(data.validation.requests)
    assert abs(len(asked) - every / 3) <= 1


def test_the_cells_alive_at_a_time_change_no_weight(prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepare(log_of((5 * np.arange(24)[:, None] + np.arange(8)) % 20))
    whole = chosen(data, opinionated(data, np.zeros(20)))
    monkeypatch.setattr(memory_weights, "CELLS", 1)
    assert chosen(data, opinionated(data, np.zeros(20))) == whole


def test_a_fit_with_validation_ends_with_chosen_weights(world: Any, small_model: Any, small_train: Any) -> None:
    model = Recommender(small_model(**LONE), small_train(max_epochs=1)).fit(world.train, valid=world.valid)
    weights = model.scorer.memory.weights.tolist()
    assert min(weights) >= 0
    assert sum(weights) > 0, "a walk round a circle is what the memory knows best"
    again = Recommender(small_model(**LONE), small_train(max_epochs=1)).fit(world.train, valid=world.valid)
    assert again.scorer.memory.weights.tolist() == weights
