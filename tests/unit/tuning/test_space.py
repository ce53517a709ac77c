from __future__ import annotations

from typing import Any

import pytest

from recattn.config import ModelConfig, TrainConfig
from recattn.errors import ConfigError
from recattn.tuning import Space, check


def test_a_space_is_read_by_the_types_of_its_fields() -> None:
    space = Space.read(
        {"model": {"num_layers": {"low": 1, "high": 3}}, "train.learning_rate": {"low": 1e-4, "high": 1, "log": True}}
    )
    kinds = {name: type(one).__name__ for name, one in space.distributions().items()}
    assert kinds == {"model.num_layers": "IntDistribution", "train.learning_rate": "FloatDistribution"}
    model, train = space.settings(
        {"model.num_layers": 2, "train.learning_rate": 0.5}, ModelConfig(dim=8), TrainConfig(seed=3)
    )
    assert (model.num_layers, model.dim, train.learning_rate, train.seed) == (2, 8, 0.5, 3)
    assert Space.read(space.to_dict()) == space


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space must name the settings to search"),
        ({"model.dimm": {"choices": [8]}}, "Did you mean 'model.dim'"),
        ({"dim": {"choices": [8]}}, "It takes model"),
        ({"model.dim": [8, 16]}, "must be {choices"),
        ({"model.dim": {"choice": [8]}}, "Did you mean 'choices'"),
        ({"model.dim": {"choices": [8, 8]}}, "different choices"),
        ({"model.dim": {"choices": [8], "low": 1}}, "must have choices, or low and high"),
        ({"model.dim": {"low": 8}}, "model.dim.high must be a whole number, got None"),
        ({"model.dim": {"low": 8.5, "high": 16}}, "model.dim.low must be a whole number, got 8.5"),
        ({"train.learning_rate": {"low": 0.1, "high": 0.01}}, "low must be below high"),
        ({"train.learning_rate": {"low": 0, "high": 0.1, "log": True}}, "needs low above 0"),
        ({"train.learning_rate": {"low": "1e-4", "high": 0.1}}, "must be a number, got '1e-4'"),
        ({"model.score": {"low": 0, "high": 1}}, "is no number"),
        ({"train.seed": {"choices": [1, 2]}}, "cannot be searched"),
        ({"model.dropout": {"choices": [0.1, 7.0]}}, "model.dropout can never be 7.0"),
        ({"model.dim": {"choices": [8, 9]}, "model.num_heads": {"choices": [2, 4]}}, "model.dim can never be 9"),
    ],
)
def test_a_wrong_space_is_told_before_anything_begins(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=None) as wrong:
        check(space, ModelConfig(), TrainConfig())
    assert message in str(wrong.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": 0}, "trials must be a whole number of at least 1, got 0"),
        ({"workers": 1.5}, "workers must be a whole number of at least 1, got 1.5"),
        ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, got 0"),
        ({"metric": "ndgc_at_10"}, "Did you mean 'ndcg_at_10'"),
    ],
)
def test_a_wrong_limit_is_told_as_well(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        check({"model.dim": {"choices": [8, 16]}}, ModelConfig(), TrainConfig(), **given)
    assert message in str(wrong.value)
