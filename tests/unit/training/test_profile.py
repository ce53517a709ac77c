from __future__ import annotations

from pathlib import Path

import numpy as np

import recattn as ra
from recattn.dataset.profile import length_counts
from recattn.dataset.synthetic import make_world
from recattn.inference.artifact import load_model


def test_a_fit_keeps_what_it_was_trained_on_looked_like(tmp_path: Path) -> None:
    world = make_world(40, 30, mean_interactions=10, seed=1)
    split = ra.split_by_time(world.interactions, q=0.8)
    config, settings = ra.ModelConfig(dim=8, num_layers=1, max_history=12), ra.TrainConfig(max_epochs=1)
    model = ra.Recommender(config, settings).fit(split.train, valid=split.valid)
    model.save(tmp_path / "model")
    profile = load_model(tmp_path / "model").profile
    assert profile is not None
    lengths = split.train.groupby("user_id").size().to_numpy()
    assert (profile.users, profile.interactions) == (len(lengths), len(split.train))
    assert profile.until == split.train["timestamp"].max()
    assert list(profile.lengths) == length_counts(lengths).tolist()
    assert len(profile.best_scores) == len(profile.score_edges) + 1 == 10
    assert max(profile.best_scores) <= 2 * np.mean(profile.best_scores)  # deciles
    known = split.train["item_id"].unique()
    assert (profile.unknown_items == 0) == split.valid["item_id"].isin(known).all()
    refit = ra.Recommender(config, settings).fit(split.train, valid=split.valid, refit=True)
    refit.save(tmp_path / "refit")
    again = load_model(tmp_path / "refit").profile
    assert again is not None
    assert again.interactions == len(split.train) + len(split.valid)
    assert again.best_scores == profile.best_scores


def test_without_validation_there_are_histories_alone(tmp_path: Path) -> None:
    log = make_world(20, 20, mean_interactions=8, seed=1).interactions
    ra.Recommender(ra.ModelConfig(dim=8, num_layers=0), ra.TrainConfig(max_epochs=1)).fit(log).save(tmp_path / "model")
    profile = load_model(tmp_path / "model").profile
    assert profile is not None
    assert sum(profile.lengths) == log["user_id"].nunique()
    assert (profile.best_scores, profile.unknown_items) == ((), None)
