"""What people touched most recently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recattn.baselines.impersonal import Impersonal, Span
from recattn.config import Time
from recattn.dataset import HistoryStore
from recattn.errors import ConfigError
from recattn.schema.times import span


@dataclass(eq=False)
class Recency(Impersonal):
    """Popularity that fades: a training interaction counts 2 ** (-age / half_life) at the end of train.

    Attributes:
        half_life: A span such as `"7D"` after which an interaction counts half.
    """

    half_life: Span = "7D"

    def _check(self, time: Time) -> None:
        span(self.half_life, "Recency.half_life")
        if time == "order":
            raise ConfigError(
                "Recency needs times: with time='order' interactions have no age. Use Popularity() there."
            )

    def _weights(self, store: HistoryStore) -> np.ndarray:
        assert store.times is not None
        assert store.end is not None
        ages = store.end - 1 - np.asarray(store.times)
        return np.exp2(-ages / span(self.half_life, "half_life"))
