"""Tests of the settings of a model."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from recattn.config import Categorical, ModelConfig, Multi, Numeric, TrainConfig, from_dict, to_dict
from recattn.errors import ConfigError


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
def test_defaults_are_possible_values_that_round_trip_through_json(kind: type) -> None:
    config = kind()
    assert from_dict(kind, json.loads(json.dumps(to_dict(config)))) == config


def test_changed_values_round_trip_through_json() -> None:
    model = ModelConfig(dim=32, num_heads=4, num_layers=0, score="retrieval", time="order", dropout=0.1)
    train = TrainConfig(max_epochs=2, learning_rate=3e-4, loss="bce", valid_requests=None, seed=7)
    assert from_dict(ModelConfig, json.loads(json.dumps(to_dict(model)))) == model
    assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(train)))) == train


def test_keys_left_out_keep_their_defaults() -> None:
    assert from_dict(ModelConfig, {}) == ModelConfig()
    assert from_dict(TrainConfig, {"seed": 3}) == TrainConfig(seed=3)


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        (
            ModelConfig,
            "num_head",
            r"ModelConfig has no key 'num_head'\. Did you mean 'num_heads'\? It has: dim, ",
        ),
        (
            TrainConfig,
            "learning_rat",
            r"TrainConfig has no key 'learning_rat'\. Did you mean 'learning_rate'\?",
        ),
        (TrainConfig, "dim", r"TrainConfig has no key 'dim'\. It has: max_epochs, batch_size"),
    ],
)
def test_an_unknown_key_names_the_nearest(kind: type, key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(kind, {key: 1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 0}, "ModelConfig.dim must be at least 1, got 0"),
        ({"num_heads": 0}, "num_heads must be at least 1, got 0"),
        ({"num_layers": -1}, "num_layers must be at least 0, got -1"),
        ({"deep_layers": 0}, "deep_layers must be at least 1, got 0"),
        ({"max_history": 0}, "max_history must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"dropout": float("nan")}, r"dropout must lie in \[0, 1\), got nan"),
        ({"id_dropout": -0.1}, r"id_dropout must lie in \[0, 1\), got -0.1"),
        (
            {"score": "deap"},
            r"score must be one of retrieval, attention, deep, got 'deap'\. Did you mean 'deep'\?",
        ),
        ({"time": "seconds"}, "time must be one of timestamp, order, got 'seconds'"),
        (
            {"ties": "excluded"},
            r"ties must be one of exclude, order, got 'excluded'\. Did you mean 'exclude'\?",
        ),
        ({"request_time": "shown"}, "request_time must be one of hidden, given, got 'shown'"),
        ({"dim": 10, "num_heads": 4}, r"dim \(10\) must be divisible by num_heads \(4\)"),
        ({"time": "order", "request_time": "given"}, "request_time='given' needs time='timestamp'"),
        ({"keys": "separate"}, "keys='separate' is of attention heads, but score='attention' with attention='tran"),
        (
            {"keys": "separate", "score": "deep"},
            "weights that heads of the attention score learn, but attention='transitions' with matching='cosine'",
        ),
        (
            {"keys": "separate", "attention": "heads", "matching": "uniform"},
            r"but attention='heads' with matching='uniform' learns none\. Set attention='heads', matching='cosine'",
        ),
        (
            {"keys": "seperate"},
            r"keys must be one of states, items, separate, got 'seperate'\. Did you mean 's",
        ),
    ],
)
def test_an_impossible_model_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**values)
    with pytest.raises(ConfigError, match=message):
        from_dict(ModelConfig, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_epochs": 0}, "TrainConfig.max_epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, got -1"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0, got -1"),
        ({"clip_norm": float("nan")}, "clip_norm must be at least 0, got nan"),
        ({"num_negatives": 0}, "num_negatives must be at least 1, got 0"),
        ({"negatives_power": -0.5}, "negatives_power must be at least 0, got -0.5"),
        ({"head_positions": 0}, "head_positions must be at least 1, got 0"),
        ({"head_weight": -1}, "head_weight must be at least 0, got -1"),
        ({"attention_weight": -0.5}, "attention_weight must be at least 0, got -0.5"),
        ({"precision": "bf15"}, r"precision must be one of auto, float32, bf16, got 'bf15'\. Did you mean 'bf16'\?"),
        ({"precision": 16}, "precision must be .*, got 16"),
        ({"valid_requests": 0}, "valid_requests must be at least 1, got 0"),
        ({"valid_every": 0}, "valid_every must be at least 1, got 0"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"window_overlap": 1}, r"window_overlap must lie in \[0, 1\), got 1"),
        ({"learning_rate": 0}, "learning_rate must be positive, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
        (
            {"schedule": "cosin"},
            r"schedule must be one of constant, cosine, got 'cosin'\. Did you mean 'cosine'\?",
        ),
        ({"loss": "softmx"}, r"loss must be one of softmax, sampled_softmax, bce, got 'softmx'.*'softmax'\?"),
    ],
)
def test_an_impossible_training_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**values)


@pytest.mark.parametrize("config", [ModelConfig(), TrainConfig(), Categorical("a"), Multi("b"), Numeric("c")])
def test_settings_cannot_be_changed_in_place(config: Any) -> None:
    first = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, first, 1)
    assert hash(config) == hash(dataclasses.replace(config))


def test_features_tell_their_defaults() -> None:
    assert Multi("genres") == Multi("genres", separator="|")
    assert Numeric("price") == Numeric("price", log=False, standardize=True)
