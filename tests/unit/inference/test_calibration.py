"""Scores that become probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import recattn as ra
from recattn.dataset.synthetic import make_world
from recattn.errors import DataError
from recattn.inference.calibration import Calibration


def test_labels_drawn_from_a_known_curve_give_that_curve_back() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=40_000)
    labels = (rng.random(40_000) < 1 / (1 + np.exp(-(1.5 * scores - 0.7)))).astype(np.float32)
    found = Calibration.fit(scores, labels)
    assert found.slope == pytest.approx(1.5, abs=0.05)
    assert found.intercept == pytest.approx(-0.7, abs=0.05)
    probabilities = found.probabilities(np.array([0.0, np.nan, 1e6, -1e6]))
    assert probabilities[0] == pytest.approx(1 / (1 + np.exp(-found.intercept)), rel=1e-6)
    assert np.isnan(probabilities[1])
    assert probabilities[2:].tolist() == [1.0, 0.0]


def test_rows_without_a_score_do_not_count() -> None:
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 1, 0, 1])
    more = Calibration.fit(np.append(scores, np.nan), np.append(labels, 0))
    assert more == Calibration.fit(scores, labels)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.0, 1.0], [0, 2], r"labels must be 0 or 1 to calibrate on, got \[2"),
        ([0.0, 1.0], [1, 1], r"the 2 labelled rows with a score are all of one label"),
        ([0.0, 1.0, 2.0, 3.0], [1, 1, 0, 1], r"higher scores come with fewer positives"),
    ],
)
def test_labels_that_teach_nothing_are_refused(scores: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Calibration.fit(np.array(scores), np.array(labels))


def test_a_calibrated_model_adds_a_probability_that_a_saved_one_keeps(tmp_path: Path) -> None:
    world = make_world(n_users=60, seed=0)
    split = ra.split_by_time(world.interactions)
    model = ra.Recommender(ra.ModelConfig(dim=8, num_layers=1, max_history=10), ra.TrainConfig(max_epochs=3, seed=0))
    model.fit(split.train)
    requests, truth = split.requests("valid", "last"), split.truth("valid", "last")
    taken = requests.merge(truth[["request_id", "item_id"]], on="request_id").assign(label=1)
    others = requests.merge(split.train[["item_id"]].drop_duplicates().head(20), how="cross").assign(label=0)
    slate = pd.concat([taken, others], ignore_index=True)
    history = split.history("valid")
    plain = model.score(slate, history=history)
    assert "probability" not in plain
    scored = model.calibrate(slate, history=history).score(slate, history=history)
    assert scored["score"].equals(plain["score"])
    assert scored["probability"].between(0, 1).sum() == scored["score"].notna().sum()
    known = scored.dropna(subset="score")
    assert known["probability"].mean() == pytest.approx(known["label"].mean(), abs=0.01)
    assert "probability" not in model.score(slate, history=history, stage="retrieval")
    model.save(tmp_path / "model")
    again = ra.Recommender.load(tmp_path / "model").score(slate, history=history)
    pd.testing.assert_frame_equal(again, scored)
    model.fit(split.train)
    assert "probability" not in model.score(slate, history=history)


def test_a_slate_without_labels_cannot_calibrate() -> None:
    world = make_world(n_users=30, seed=0)
    model = ra.Recommender(ra.ModelConfig(dim=4, num_layers=0, max_history=5), ra.TrainConfig(max_epochs=1))
    model.fit(world.interactions)
    slate = world.interactions[["user_id", "item_id"]].head(2)
    with pytest.raises(DataError, match=r"slate has no column 'label'; it has 'user_id', 'item_id'"):
        model.calibrate(slate, history=world.interactions)
