"""Tests of other ways to weigh interactions for a candidate, and of other keys."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recattn.config import ModelConfig, TrainConfig
from recattn.errors import ConfigError
from recattn.nn.attention import MATCHINGS, MlpTargetAttention, UniformAttention, View
from recattn.nn.window_loss import total_loss, window_losses

HEADS, SIZE = 2, 6
MASK = torch.tensor([[True, True, True, True, False], [True, False, True, True, True], [False] * 5])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def view(rows: tuple[int, ...] = (0, 1, 2), mask: Tensor = MASK) -> View:
    ages = torch.arange(4, -1, -1).double().expand(len(mask), -1)
    return View(torch.tensor(rows), mask, ages, random(*mask.shape, seed=9).abs())


@pytest.fixture
def uniform(stirred: Callable[..., Any]) -> UniformAttention:
    """With every weight that is trained drawn anew."""
    made = UniformAttention(SIZE, HEADS, timed=True)
    fixed = {name: value.clone() for name, value in made.named_parameters() if not value.requires_grad}
    stirred(made)
    with torch.no_grad():
        for name, value in fixed.items():
            made.get_parameter(name).copy_(value)
    return made.double().eval()


@pytest.fixture
def mlp(stirred: Callable[..., Any]) -> MlpTargetAttention:
    return stirred(MlpTargetAttention(SIZE, HEADS, timed=True)).double().eval()


def test_uniform_attention_is_the_mean_of_what_is_seen_and_the_null_value(
    uniform: UniformAttention, loops: Any
) -> None:
    w = loops.weights_of(uniform)
    states, candidates = random(3, 5, SIZE), random(4, SIZE, seed=1)
    found = uniform(candidates, uniform.keys(states), view())
    assert found.shape == (3, 4, SIZE)
    for request in range(3):
        seen = [w["value.weight"] @ states[request, place].numpy() for place in range(5) if MASK[request, place]]
        expected = sum(seen, w["null_value"].ravel()) / (len(seen) + 1)
        np.testing.assert_allclose(found[request].detach(), np.tile(expected, (4, 1)), rtol=1e-10)


def test_uniform_attention_trains_values_alone(uniform: UniformAttention) -> None:
    trained = {name for name, weight in uniform.named_parameters() if weight.requires_grad}
    assert trained == {"value.weight", "null_value"}
    uniform(random(4, SIZE), uniform.keys(random(3, 5, SIZE)), view()).square().sum().backward()
    assert all(uniform.get_parameter(name).grad.abs().sum() > 0 for name in trained)


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def test_mlp_attention_is_dins_formula(mlp: MlpTargetAttention, loops: Any) -> None:
    """weight_ci = w . SiLU(A q + B k + C (q * k)) + g(i), summed without softmax."""
    w, width = loops.weights_of(mlp), SIZE // HEADS
    states, candidates, look = random(2, 5, SIZE), random(3, 4, SIZE, seed=1), view(rows=(1, 0, 1))
    found = mlp(candidates, mlp.keys(states), look)
    for request, history in enumerate((1, 0, 1)):
        for number in range(4):
            for h in range(HEADS):
                of = slice(h * width, (h + 1) * width)
                query = w["query.weight"][of] @ candidates[request, number].numpy()
                expected = np.zeros(width)
                for place in range(5):
                    if not MASK[request, place]:
                        continue
                    key = w["key.weight"][of] @ states[history, place].numpy()
                    hidden = w["of_query.weight"] @ query + w["of_query.bias"] + w["of_key.weight"] @ key
                    hidden = hidden + w["of_product.weight"] @ (query * key)
                    weight = sum(w["weight.weight"][0] * [silu(x) for x in hidden]) + w["weight.bias"][0]
                    weight -= w["recency.order_slope"][h] * float(look.ages[request, place])
                    weight -= w["recency.time_slope"][h] * float(look.time_ages[request, place])
                    expected += weight * (w["value.weight"][of] @ states[history, place].numpy())
                np.testing.assert_allclose(found[request, number, of].detach(), expected, rtol=1e-8, atol=1e-10)


def test_an_empty_history_finds_the_null_value_or_nothing(uniform: UniformAttention, mlp: MlpTargetAttention) -> None:
    none = view(rows=(0,), mask=torch.zeros(1, 5, dtype=torch.bool))
    candidates, states = random(2, SIZE), random(1, 5, SIZE)
    found = uniform(candidates, uniform.keys(states), none)
    torch.testing.assert_close(found, uniform.null_value.flatten().expand(1, 2, -1))
    assert (mlp(candidates, mlp.keys(states), none) == 0).all()


@pytest.mark.parametrize("kind", ["uniform", "mlp"])
def test_shared_candidates_are_looked_up_like_own_ones_and_what_is_masked_means_nothing(
    kind: str, request: pytest.FixtureRequest
) -> None:
    attention = request.getfixturevalue(kind)
    states, candidates = random(3, 5, SIZE), random(4, SIZE, seed=1)
    shared = attention(candidates, attention.keys(states), view())
    own = attention(candidates.expand(3, -1, -1), attention.keys(states), view())
    torch.testing.assert_close(own, shared)
    torch.testing.assert_close(attention(candidates[2:3], attention.keys(states), view()), shared[:, 2:3])
    changed = torch.where(MASK[..., None], states, 100 * random(3, 5, SIZE, seed=5))
    torch.testing.assert_close(attention(candidates, attention.keys(changed), view()), shared)
    changed = torch.where(MASK[..., None], random(3, 5, SIZE, seed=5), states)
    assert not torch.allclose(attention(candidates, attention.keys(changed), view())[0], shared[0])


def batch_of(scene: Any, scorer: Any) -> Any:
    from recattn.dataset.requests import make_requests

    requests = make_requests(scene.store, [*scene.store.users, "nobody"])
    return scene.assembler(scorer.config).requests(requests)


@pytest.mark.parametrize(
    ("matching", "keys"),
    [*itertools.product(sorted(MATCHINGS), ["states", "items"]), ("cosine", "separate"), ("mlp", "separate")],
)
def test_every_way_to_match_makes_a_scorer_that_treats_candidates_alone(
    scene: Any, build_scorer: Callable[..., Any], matching: Any, keys: Any
) -> None:
    scorer = build_scorer(scene, score="deep", attention="both", matching=matching, keys=keys)
    assert type(scorer.attention) is MATCHINGS[matching]
    batch = batch_of(scene, scorer)
    own = torch.tensor([[3, 9, 1]]).repeat(len(batch.history.items), 1)
    with torch.inference_mode():
        whole = scorer(batch, "attention")
        some = scorer(batch._replace(candidates=own, candidate_mask=torch.ones_like(own, dtype=bool)), "attention")
        cheap = scorer(batch, "retrieval")
    np.testing.assert_allclose(some, whole.gather(1, own - 1), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(whole[:-1], cheap[:-1], atol=1e-2)


def test_keys_of_items_are_the_normalised_embeddings_as_they_are(
    scene: Any, build_scorer: Callable[..., Any], loops: Any
) -> None:
    scorer = build_scorer(scene, score="attention", attention="heads", keys="items").double()
    batch = loops.as_double(batch_of(scene, scorer))
    history = batch.history
    other = history._replace(
        behaviours=(history.behaviours + 1) % 4, weights=history.weights + 1.0
    )  # what the encoder alone looks at
    with torch.inference_mode():
        items = scorer.items(history.items)
        inputs = scorer.key_inputs(history, scorer.encode(history))
        looked = (scorer(batch) - scorer(batch, "retrieval"), scorer(batch._replace(history=other)))
        looked = (looked[0], looked[1] - scorer(batch._replace(history=other), "retrieval"))
    norm = scorer.key_norm
    mean, var = items.mean(dim=-1, keepdim=True), items.var(dim=-1, unbiased=False, keepdim=True)
    expected = (items - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias
    torch.testing.assert_close(inputs, expected)
    torch.testing.assert_close(looked[0], looked[1])
    plain = build_scorer(scene, score="attention", attention="heads").double()
    with torch.inference_mode():
        found = [plain(one) - plain(one, "retrieval") for one in (batch, batch._replace(history=other))]
    assert not torch.allclose(*found, atol=1e-2), "states do not look at behaviours: the test shows nothing"


def test_only_a_model_with_item_keys_and_something_to_look_has_their_norm(
    scene: Any, build_scorer: Callable[..., Any]
) -> None:
    assert build_scorer(scene, score="deep", attention="heads", keys="items").key_norm is not None
    assert build_scorer(scene, score="deep", attention="heads").key_norm is None
    with pytest.raises(ConfigError, match="keys='items' is of attention heads, but score='retrieval'"):
        ModelConfig(score="retrieval", keys="items")
    with pytest.raises(
        ConfigError, match="matching='mlp' is of attention heads, but score='attention' with attention='tr"
    ):
        ModelConfig(matching="mlp")


@pytest.mark.parametrize(
    ("matching", "score", "names", "keys"),
    [
        (matching, score, names, keys)
        for matching, score, names in (
            ("cosine", "attention", {"retrieval", "attention"}),
            ("uniform", "attention", {"retrieval", "attention"}),
            ("mlp", "attention", {"retrieval", "deep"}),
            ("uniform", "deep", {"retrieval", "attention", "deep"}),
            ("mlp", "deep", {"retrieval", "deep"}),
        )
        for keys in ("states", "items", "separate")
        if (matching, keys) != ("uniform", "separate")
    ],
)
def test_every_weight_that_is_trained_has_a_gradient(
    scene: Any, build_scorer: Callable[..., Any], matching: Any, score: Any, names: set[str], keys: Any
) -> None:
    from recattn.dataset.negatives import NegativeSampler
    from recattn.dataset.windows import make_windows

    scorer = build_scorer(
        scene, plain=True, score=score, attention="heads", matching=matching, keys=keys, dropout=0.0, id_dropout=0.0
    ).train()
    train = TrainConfig(num_negatives=6, head_positions=3, hard_negatives=2, head_gradient=1.0)
    windows = make_windows(scene.store, 6, overlap=0.5, ties="exclude")
    sampler = NegativeSampler(np.bincount(scene.store.items, minlength=15), 0.5)
    batch = scene.assembler(scorer.config).windows(
        windows, np.arange(len(windows.starts)), train, sampler, np.random.default_rng(0)
    )
    batch = batch._replace(user=None, context=None)
    losses = window_losses(scorer, batch, train)
    assert set(losses) == names
    assert all(torch.isfinite(loss) for loss in losses.values())
    total_loss(losses, train).backward()
    own = ("attention", "key_norm", "items.attention_ids")
    head = {name: weight for name, weight in scorer.named_parameters() if name.startswith(own)}
    for name, weight in head.items():
        unused = matching == "mlp" and name in ("attention.null_key", "attention.null_value")
        if not weight.requires_grad or unused:
            assert weight.grad is None or not weight.grad.any(), name
        else:
            assert weight.grad.any(), name
