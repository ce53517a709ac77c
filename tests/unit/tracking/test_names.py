"""Names and values that every back end takes."""

from __future__ import annotations

import pytest

from recattn.errors import ConfigError
from recattn.tracking.names import VALUE_LIMIT, metric_name, renamed, value_text


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("ndcg@10", "ndcg_at_10"),
        ("valid/ndcg @ 10", "valid/ndcg_at_10"),
        ("valid/ndcg_at_10", "valid/ndcg_at_10"),
        ("loss(mean)", "loss_mean_"),
        ("/a//b/", "a/b"),
        ("", "_"),
    ],
)
def test_what_mlflow_refuses_in_a_name_is_replaced(name: str, clean: str) -> None:
    assert metric_name(name) == clean


def test_a_name_is_at_most_as_long_as_mlflow_takes() -> None:
    assert len(metric_name("x" * 999)) == 250


def test_names_that_meet_are_an_error() -> None:
    assert renamed(["a@1", "b"]) == {"a@1": "a_at_1", "b": "b"}
    with pytest.raises(ConfigError, match=r"'a@1', 'a_at_1' are both 'a_at_1'"):
        renamed(["a@1", "a_at_1"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (0.001, "0.001"),
        (True, "True"),
        (None, "None"),
        ([1, "a"], '[1, "a"]'),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
        ({"b", "a"}, '["a", "b"]'),
    ],
)
def test_values_are_short_text(value: object, text: str) -> None:
    assert value_text(value) == text


def test_long_values_are_cut_and_stay_different() -> None:
    one, other = value_text("x" * 900 + "1"), value_text("x" * 900 + "2")
    assert len(one) == VALUE_LIMIT
    assert one != other
    assert "901 characters" in one
