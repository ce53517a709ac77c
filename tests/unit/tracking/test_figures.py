"""The learning curve."""

from __future__ import annotations

import sys

import pytest

from recattn.tracking.figures import learning_curve


def titles(curves: dict[str, dict[int, float]]) -> list[str]:
    figure = learning_curve(curves)
    return [] if figure is None else [axes.get_title(loc="left") for axes in figure.axes]


def test_losses_and_the_headline_metric_have_a_panel_each() -> None:
    curves = {
        "train/loss": {0: 3.0, 1: 2.0},
        "valid/loss": {0: 3.1, 1: 2.5},
        "valid/ndcg_at_10": {0: 0.1, 1: 0.2},
        "valid/recall_at_10": {0: 0.2, 1: 0.3},
        "train/retrieval_loss": {0: 1.0},
        "train/learning_rate": {0: 1e-3},
    }
    figure = learning_curve(curves)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "valid/ndcg_at_10"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["train/loss", "valid/loss"]


def test_the_best_epoch_is_marked() -> None:
    figure = learning_curve({"valid/ndcg_at_10": {0: 0.1, 1: 0.3, 2: 0.2}})
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.3000 at epoch 1"]


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        ({}, []),
        ({"test/ndcg_at_10": {0: 0.1}}, []),
        ({"train/loss": {0: 1.0}}, ["train/loss"]),
        ({"train/head_loss": {0: 1.0}, "train/retrieval_loss": {0: 1.0}, "valid/loss": {}}, ["loss"]),
        ({"valid/recall_at_10": {0: 0.1}, "valid/ndcg_at_5": {0: 0.1}}, ["validation"]),
    ],
)
def test_only_what_was_seen_is_drawn(curves: dict[str, dict[int, float]], expected: list[str]) -> None:
    assert titles(curves) == expected


def test_drawing_leaves_no_state_in_pyplot() -> None:
    before = set(sys.modules)
    learning_curve({"train/loss": {0: 1.0, 1: 0.5}})
    assert "matplotlib.pyplot" not in set(sys.modules) - before
