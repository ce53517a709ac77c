"""The pictures of a run."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
from matplotlib.figure import Figure

from recattn.evaluation import NDCG, evaluate
from recattn.tracking.figures import (
    attention_age,
    calibration,
    learning_curve,
    metric_by_segment,
    score_distribution,
)


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


SEGMENTED = evaluate(
    pd.DataFrame({"user_id": [1, 2, 3, 4], "item_id": [5, 5, 5, 5], "rank": 1}),
    pd.DataFrame({"user_id": [1, 2, 3, 4], "item_id": [5, 6, 5, 6]}),
    [NDCG(1)],
    segments=pd.DataFrame({"user_id": [1, 2, 3, 4], "history_length": [60, 60, 2, 60]}),
)


def test_a_metric_has_a_bar_a_group_with_the_mean_and_the_number_of_requests() -> None:
    (axes,) = metric_by_segment(SEGMENTED, "history_length", "ndcg_at_1", "history length").axes
    assert axes.get_title(loc="left") == "NDCG@1 by history length"
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([1.0, 1 / 3])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1-4\n1", "50+\n3"]


def test_scores_are_drawn_for_the_first_and_the_last_rank_or_by_label() -> None:
    lists = pd.DataFrame({"rank": [1, 2, 3, 1, 2, 3], "score": [3.0, 2.0, 1.0, 3.5, 2.5, float("nan")]})
    figure = score_distribution(lists)
    assert figure is not None
    assert legend(figure) == ["rank 1", "rank 3"]
    slate = pd.DataFrame({"label": [1, 0], "score": [2.0, 1.0]})
    figure = score_distribution(slate)
    assert figure is not None
    assert legend(figure) == ["label 1", "label 0"]
    assert score_distribution(lists.assign(score=float("nan"))) is None
    assert score_distribution(lists.head(1)) is not None


def test_calibration_is_the_observed_share_against_the_probability_told() -> None:
    labels = pd.Series([0, 1] * 50 + [1] * 100)
    probabilities = pd.Series([0.5] * 100 + [0.9] * 100)
    figure = calibration(labels, probabilities)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "calibration (error 0.0500)"  # half the rows are right, half off by 0.1
    points = axes.containers[0].lines[0]
    assert points.get_xdata().tolist() == pytest.approx([0.5, 0.9])
    assert points.get_ydata().tolist() == pytest.approx([0.5, 1.0])
    assert calibration(labels.head(0), probabilities.head(0)) is None


PARTS = pd.DataFrame(
    {
        "row": [0, 0, 0, 0],
        "term": ["state", "attention", "attention", "attention"],
        "head": [None, 1, 1, 1],
        "history_item_id": [None, None, 7, 8],
        "history_timestamp": [None, None, 100, 90_000],
        "weight": [None, 0.2, 0.2, 0.6],
        "value": [1.0, 0.0, 0.1, 0.3],
    }
)
CHANGES = pd.DataFrame(
    {
        "row": [0, 0],
        "rank": [1, 2],
        "history_item_id": [8, 7],
        "history_position": [1, 0],
        "history_timestamp": [90_000, 100],
        "change": [-3.0, 1.0],
    }
)


def shares(figure: Figure | None) -> dict[str, float]:
    assert figure is not None
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_xticklabels()]
    heights = [round(bar.get_height(), 6) for bar in axes.patches]
    return {name: height for name, height in zip(names, heights, strict=True) if height}


def test_attention_is_shared_out_by_the_age_of_interactions() -> None:
    figure = attention_age(PARTS, CHANGES, pd.Series([90_060]))
    assert shares(figure) == {"< 1 h": 0.75, "1-7 d": 0.25}
    assert figure is not None
    assert figure.axes[0].get_title(loc="right") == "on no interaction: 20%"


def test_order_only_attention_is_by_place() -> None:
    assert shares(attention_age(PARTS.drop(columns="history_timestamp"), CHANGES, None)) == {"1": 0.75, "2": 0.25}


def test_a_model_without_attention_is_shown_by_the_changes_of_its_score() -> None:
    states = PARTS.head(1)
    assert shares(attention_age(states, CHANGES, pd.Series([90_060]))) == {"< 1 h": 0.75, "1-7 d": 0.25}
    assert shares(attention_age(states, CHANGES.iloc[::-1], None)) == {"1": 0.75, "2": 0.25}
    assert attention_age(states, CHANGES.head(0), None) is None


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
