"""The scorer."""

from recattn.nn.history_encoder import HistoryEncoder
from recattn.nn.item_encoder import FeatureEncoder, ItemEncoder
from recattn.nn.scorer import Scorer
from recattn.nn.window_loss import window_losses

__all__ = ["FeatureEncoder", "HistoryEncoder", "ItemEncoder", "Scorer", "window_losses"]
