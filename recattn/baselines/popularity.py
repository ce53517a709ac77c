"""What most people touched, lately or ever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recattn.baselines.impersonal import Impersonal, Span
from recattn.config import Time
from recattn.dataset import HistoryStore
from recattn.errors import ConfigError
from recattn.schema.times import span


@dataclass(eq=False)
class Popularity(Impersonal):
    """Items by their training interactions in the last `window` before the end of train.

    Attributes:
        window: A span such as `"7D"`; None counts all of train. With times, a recent window is often the
            strongest baseline there is.
    """

    window: Span | None = None

    def _check(self, time: Time) -> None:
        if self.window is None:
            return
        span(self.window, "Popularity.window")
        if time == "order":
            raise ConfigError(
                f"Popularity(window={self.window!r}) needs times, but time='order' has none. Pass window=None."
            )

    def _weights(self, store: HistoryStore) -> np.ndarray:
        if self.window is None or store.times is None or store.end is None:
            return np.ones(len(store))
        return (store.times >= store.end - span(self.window, "window")).astype(np.float64)
