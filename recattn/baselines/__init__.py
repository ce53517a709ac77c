"""Recommenders to beat."""

from recattn.baselines.base import Baseline
from recattn.baselines.item_knn import ItemKNN
from recattn.baselines.popularity import Popularity
from recattn.baselines.recency import Recency
from recattn.baselines.transition import Transition

__all__ = ["Baseline", "ItemKNN", "Popularity", "Recency", "Transition"]
