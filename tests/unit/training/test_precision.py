"""Training in mixed precision."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import pytest

import recattn as ra
from recattn.dataset.synthetic import make_world


@pytest.mark.parametrize("attention", ["transitions", "both"])
def test_bf16_mixed_precision_trains_to_finite_scores_near_those_of_float32(attention: Any) -> None:
    world = make_world(n_users=60, seed=0)
    split = ra.split_by_time(world.interactions)
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        trainer = L.Trainer(
            max_epochs=1,
            precision=precision,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        config = ra.ModelConfig(dim=8, num_layers=1, max_history=10, attention=attention)
        model = ra.Recommender(config, ra.TrainConfig(seed=1), item_features=[ra.Multi("genres")])
        model.fit(split.train, items=world.items, trainer=trainer)
        losses[precision] = model.curve[-1]["train/loss"]
        assert np.isfinite(model.recommend(history=split.train, k=3)["score"]).all()
    assert np.isclose(losses["bf16-mixed"], losses["32-true"], rtol=0.01)
