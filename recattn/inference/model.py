"""Everything a fitted model is: settings, catalog, fitted features, scorer. It holds no users."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from recattn.batching.assemble import as_tensors
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.features import FittedFeatures
from recattn.dataset.profile import Profile
from recattn.dataset.tables import ItemTable
from recattn.dataset.vocabulary import Vocabulary
from recattn.inference.calibration import Calibration
from recattn.nn.item_encoder import FeatureEncoder, ItemEncoder
from recattn.nn.scorer import Scorer


@dataclass(frozen=True, eq=False)
class Blueprint:
    """What a scorer is built from, besides chance and weights."""

    config: ModelConfig
    train: TrainConfig
    table: ItemTable
    behaviours: Vocabulary | None
    users: FittedFeatures
    context: FittedFeatures
    time_scale: float = 1.0

    def build(self) -> Scorer:
        """A scorer with fresh weights, drawn from torch's generator as it stands."""
        features = as_tensors(self.table.features) if self.table.fitted.features else None
        items = ItemEncoder(
            torch.from_numpy(self.table.id_row).long(),
            features,
            encoder(self.table.fitted, self.config.dim),
            self.config.dim,
            id_dropout=self.config.id_dropout,
            trainable=torch.from_numpy(self.table.recommendable),
            separate=self.config.keys == "separate",
        )
        return Scorer(
            self.config,
            items,
            user=encoder(self.users, self.config.dim),
            context=encoder(self.context, self.config.dim),
            num_behaviours=0 if self.behaviours is None else len(self.behaviours),
            time_scale=self.time_scale,
        )


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A blueprint with the scorer that was trained for it.

    Attributes:
        blueprint: What the scorer was built from.
        scorer: The scorer.
        calibration: How its scores become probabilities, if they do.
        profile: What it was trained on looked like; None for models of an older recattn.
    """

    blueprint: Blueprint
    scorer: Scorer
    calibration: Calibration | None = None
    profile: Profile | None = None


def encoder(fitted: FittedFeatures, dim: int) -> FeatureEncoder | None:
    """A fresh encoder of fitted features, or None where there are none."""
    if not fitted.features:
        return None
    sizes = fitted.cardinalities
    return FeatureEncoder(sizes.categorical, sizes.multi, 2 * fitted.num_numeric, dim)
