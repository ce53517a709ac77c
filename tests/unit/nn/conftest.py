"""The mathematics once more, in plain loops of float64, and scorers with every weight stirred."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recattn.batching.assemble import as_tensors
from recattn.batching.batch import FeatureBatch, RequestBatch
from recattn.config import ModelConfig
from recattn.dataset.features import FittedFeatures
from recattn.nn import FeatureEncoder, ItemEncoder, Scorer

Weights = dict[str, np.ndarray]


def weights_of(module: nn.Module) -> Weights:
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def softmax(logits: list[float]) -> list[float]:
    top = max(logits)
    total = sum(math.exp(logit - top) for logit in logits)
    return [math.exp(logit - top) / total for logit in logits]


def norm(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def feed_forward(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    hidden = w[f"{name}.0.weight"] @ x + w[f"{name}.0.bias"]
    hidden = np.array([h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in hidden])
    return w[f"{name}.3.weight"] @ hidden + w[f"{name}.3.bias"]


def bucket(seconds: float) -> int:
    return min(31, int(math.log2(1 + max(0, seconds))))


def turned(x: np.ndarray, place: int) -> np.ndarray:
    """Entries e and e + half of one head, turned by place / 10,000 ** (e / half); an odd last entry stays."""
    half = len(x) // 2
    found = x.copy()
    for e in range(half):
        angle = place * 10_000.0 ** (-e / half)
        found[e] = x[e] * math.cos(angle) - x[half + e] * math.sin(angle)
        found[half + e] = x[e] * math.sin(angle) + x[half + e] * math.cos(angle)
    return found


def self_attention(x: list[np.ndarray], real: list[bool], bias: Any, w: Weights, name: str, heads: int) -> np.ndarray:
    """Every interaction over the real ones up to itself, turned by their places; `bias[h][i][j]`, or None."""
    size = len(x[0])
    query, key, value = (w[f"{name}project.weight"][part * size : (part + 1) * size] for part in range(3))
    found = np.zeros((len(x), size))
    for h in range(heads):
        of = slice(h * size // heads, (h + 1) * size // heads)
        for i in range(len(x)):
            seen = [j for j in range(i + 1) if real[j] or j == i]
            asked = turned(query[of] @ x[i], i)
            logits = [asked @ turned(key[of] @ x[j], j) / math.sqrt(size // heads) for j in seen]
            if bias is not None:
                logits = [logit + bias[h][i][j] for logit, j in zip(logits, seen, strict=True)]
            found[i, of] = sum(a * (value[of] @ x[j]) for a, j in zip(softmax(logits), seen, strict=True))
    return found @ w[f"{name}join.weight"].T


def look(
    candidate: np.ndarray,
    past: list[np.ndarray],
    ages: Any,
    w: Weights,
    name: str,
    heads: int,
    matched: list[np.ndarray] | None = None,
) -> np.ndarray:
    """What a candidate finds in what a request sees: `ages[i]` = (interactions since, time since).

    Logits are q . k / sqrt(K), or, where there is a temperature, tau cos(q, k) with tau at most 20. Keys are made of
    `matched` where it is given, else of `past` like the values.
    """
    size = len(candidate)
    found = np.zeros(size)
    for h in range(heads):
        of = slice(h * size // heads, (h + 1) * size // heads)
        query = w[f"{name}query.weight"][of] @ candidate
        keys = [w[f"{name}null_key"][h]] + [w[f"{name}key.weight"][of] @ one for one in matched or past]
        values = [w[f"{name}null_value"][h]] + [w[f"{name}value.weight"][of] @ state for state in past]
        slopes = w[f"{name}recency.order_slope"][h], w.get(f"{name}recency.time_slope", np.zeros(heads))[h]
        bias = [0.0] + [-slopes[0] * age - slopes[1] * time for age, time in ages]
        if f"{name}log_temperature" in w:
            tau = min(math.exp(w[f"{name}log_temperature"][h]), 20.0)
            logits = [tau * (query @ key) / math.sqrt((query @ query) * (key @ key)) for key in keys]
        else:
            logits = [query @ key / math.sqrt(size // heads) for key in keys]
        logits = [logit + g for logit, g in zip(logits, bias, strict=True)]
        found[of] = sum(a * value for a, value in zip(softmax(logits), values, strict=True))
    return found


def attributes(row: int, features: FeatureBatch, w: Weights, name: str, size: int) -> np.ndarray:
    """The sum of a row's attributes; unseen values (1) of a multi-valued column do not count."""
    total = np.zeros(size)
    for column in range(features.categorical.shape[1]):
        total += w[f"{name}categorical.{column}.weight"][features.categorical[row, column]]
    for column, (values, offsets) in enumerate(zip(features.multi_values, features.multi_offsets, strict=True)):
        known = [value for value in values[offsets[row] : offsets[row + 1]].tolist() if value != 1]
        total += sum((w[f"{name}multi.{column}.weight"][value] for value in known), np.zeros(size)) / max(len(known), 1)
    if f"{name}numeric.weight" in w:
        total += w[f"{name}numeric.weight"] @ features.numeric[row].double().numpy()
    return total


def states(scorer: Scorer, item: Callable[[int], np.ndarray], batch: RequestBatch, row: int) -> list[np.ndarray]:
    """h_i of one request's history."""
    w, size, heads = weights_of(scorer), scorer.config.dim, scorer.config.num_heads
    history, real = batch.history, batch.history.mask[row].tolist()
    times = [0] * len(real) if history.times is None else history.times[row].tolist()
    x = [item(code) for code in history.items[row].tolist()]
    for i in range(len(x)):
        if history.times is not None:
            x[i] = x[i] + w["history.gap.weight"][1 + bucket(times[i] - times[i - 1]) if i else 0]
        if history.behaviours is not None:
            x[i] = x[i] + w["history.behaviour.weight"][history.behaviours[row, i]]
        if history.weights is not None:
            weight = float(history.weights[row, i])
            known = not math.isnan(weight)
            x[i] = x[i] + w["history.weight.weight"] @ np.array([weight if known else 0.0, known])
        x[i] = x[i] * math.sqrt(size)
    for layer in range(scorer.config.num_layers):
        block, spans = f"history.blocks.{layer}.", w.get(f"history.biases.{layer}.time")
        bias = None
        if spans is not None and history.times is not None:
            bias = [
                [[spans[bucket(times[i] - times[j])][h] for j in range(i + 1)] for i in range(len(x))]
                for h in range(heads)
            ]
        looked = self_attention(
            [norm(one, w, f"{block}norm_attention") for one in x], real, bias, w, f"{block}attention.", heads
        )
        x = [one + found for one, found in zip(x, looked, strict=True)]
        x = [one + feed_forward(norm(one, w, f"{block}norm_feed_forward"), w, f"{block}feed_forward") for one in x]
    return [norm(one, w, "history.norm") for one in x]


def score(scorer: Scorer, features: FeatureBatch, batch: RequestBatch, row: int, code: int, stage: str) -> float:
    """The score of one candidate of one request."""
    w, size, heads = weights_of(scorer), scorer.config.dim, scorer.config.num_heads
    rows = scorer.items.id_rows.tolist()

    def item(number: int) -> np.ndarray:
        attribute = attributes(number, features, w, "items.encoder.", size) if number else 0
        return w["items.ids.weight"][rows[number]] + attribute

    past = states(scorer, item, batch, row)[: int(batch.history.mask[row].sum())]
    extra = np.zeros(size)
    if batch.user is not None:
        extra = extra + attributes(row, batch.user, w, "user.", size)
    if batch.context is not None:
        extra = extra + attributes(row, batch.context, w, "context.", size)
    ages = [[len(past) - 1 - i, 0.0] for i in range(len(past))]
    if batch.history.times is not None and batch.query_times is not None:
        for i, age in enumerate(ages):
            age[1] = max(0, int(batch.query_times[row] - batch.history.times[row, i])) / float(scorer.time_scale)
    candidate = item(code)
    total = ((past[-1] if past else w["start"]) + extra) @ candidate + w["items.bias.weight"][rows[code], 0]
    if stage != "retrieval":
        asked = norm(candidate, w, "attention_norm")
        queried, matched = asked, None
        if scorer.config.keys == "separate":
            own = [norm(embedding, w, "key_norm") for embedding in w["items.attention_ids.weight"]]
            queried, matched = own[rows[code]], [own[rows[one]] for one in batch.history.items[row].tolist()]
        found = look(queried, past, ages, w, "attention.", heads, matched[: len(past)] if matched else None)
        total += found @ (w["attention_out.weight"] @ asked)
    if stage == "deep":
        r = candidate + extra
        for layer in range(scorer.config.deep_layers):
            name = f"deep.{layer}."
            found = look(norm(r, w, f"{name}norm_query"), past, ages, w, f"{name}attention.", heads)
            joined = w[f"{name}join.weight"] @ found + w[f"{name}keep.weight"] @ r
            r = r + feed_forward(norm(joined, w, f"{name}norm"), w, f"{name}feed_forward")
        total += w["deep_out.weight"][0] @ r
    return float(total)


def stir(module: nn.Module, seed: int = 0, size: float = 0.4) -> Any:
    """Draw every weight in place, also those that start at zero; norms stay near one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(size * torch.randn(weight.shape, generator=generator))
            if "norm" in name and name.endswith("weight"):
                weight += 1
    return module


def as_double(part: Any) -> Any:
    """A batch with its floats in float64."""
    if isinstance(part, Tensor):
        return part.double() if part.is_floating_point() else part
    if isinstance(part, tuple):
        parts = map(as_double, part)
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
    return part


def encoder_of(fitted: FittedFeatures, size: int) -> FeatureEncoder:
    sizes = fitted.cardinalities
    return FeatureEncoder(sizes.categorical, sizes.multi, 2 * fitted.num_numeric, size)


def make_scorer(scene: Any, seed: int = 0, *, plain: bool = False, **changes: Any) -> Scorer:
    """A stirred scorer in eval mode for a scene; `plain` has no attributes at all."""
    small = {"dim": 8, "num_heads": 2, "num_layers": 2, "deep_layers": 2, "max_history": 6, "use_weights": True}
    kind = {"score": "deep", "attention": "heads"}
    config = ModelConfig(**(small | kind | {"dropout": 0.3, "id_dropout": 0.3} | changes))
    items = ItemEncoder(
        torch.from_numpy(scene.table.id_row).long(),
        None if plain else as_tensors(scene.table.features),
        None if plain else encoder_of(scene.table.fitted, config.dim),
        config.dim,
        id_dropout=config.id_dropout,
        separate=config.keys == "separate",
    )
    scorer = Scorer(
        config,
        items,
        user=None if plain else encoder_of(scene.users.fitted, config.dim),
        context=None if plain else encoder_of(scene.context, config.dim),
        num_behaviours=3,
        time_scale=200_000.0,
    )
    return stir(scorer, seed).eval()


@pytest.fixture(scope="session")
def loops() -> SimpleNamespace:
    """The formulas in loops."""
    return SimpleNamespace(
        weights_of=weights_of,
        turned=turned,
        self_attention=self_attention,
        look=look,
        attributes=attributes,
        bucket=bucket,
        states=states,
        score=score,
        as_double=as_double,
    )


@pytest.fixture(scope="session")
def stirred() -> Callable[..., Any]:
    """`stirred(module, seed)`: the module with every weight drawn anew."""
    return stir


@pytest.fixture(scope="session")
def build_scorer() -> Callable[..., Scorer]:
    """`build_scorer(scene, seed, **config)`: a small stirred scorer in eval mode."""
    return make_scorer
