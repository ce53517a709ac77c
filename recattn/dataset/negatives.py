"""The drawing of negatives: catalog items that stand for all that was not chosen."""

from __future__ import annotations

from typing import Any

import numpy as np

from recattn.errors import ConfigError, DataError


class NegativeSampler:
    """Draws item codes in proportion to (count + 1) ** power, with replacement.

    The 1 gives items without events a chance; power 0 is uniform over the catalog. A draw may equal a
    position's own target: that is masked at the logits, where the target is known.

    Args:
        counts: Training events of each code int [N + 1]; row 0 (padding) is never drawn.
        power: Share of popularity, >= 0.
        allowed: Codes that may be drawn bool [N + 1]; None allows all.

    Raises:
        ConfigError: The power is negative or no number.
        DataError: No item may be drawn.
    """

    def __init__(self, counts: np.ndarray, power: float, *, allowed: np.ndarray | None = None) -> None:
        if not 0 <= power < np.inf:
            raise ConfigError(f"negatives_power must be at least 0, got {power!r}.")
        weights = np.log1p(np.asarray(counts, dtype=np.float64)) * power
        weights = np.exp(weights - weights.max(initial=0))
        weights[:1] = 0
        if allowed is not None:
            weights[~np.asarray(allowed, dtype=bool)] = 0
        if not weights.any():
            raise DataError("the catalog has no item that may be drawn as a negative.")
        cumulative = np.cumsum(weights)
        self.power = power
        self._cumulative = cumulative / cumulative[-1]  # float64 [N + 1], ends in exactly 1
        with np.errstate(divide="ignore"):
            self._log_prob = np.log(weights / weights.sum()).astype(np.float32)

    def draw(self, size: int | tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Codes int64 of the given size; the same `rng` state gives the same codes."""
        return np.searchsorted(self._cumulative, rng.random(size), side="right")

    def log_prob(self, codes: Any) -> np.ndarray:
        """Log of the chance that one draw gives a code, float32 shaped like `codes`; -inf for padding.

        Sampled softmax takes it off the logits (logQ correction, Bengio and Senecal 2008); the expected count
        in S draws is S times this chance.
        """
        return self._log_prob[np.asarray(codes)]

    def sample(self, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The distinct codes int64 [S] among `most` draws, ascending, and log of the chance float32 [S] each had to be.

        All items that may be drawn, with chance 1, where these are no more than `most`.
        """
        allowed = np.flatnonzero(np.isfinite(self._log_prob))
        if len(allowed) <= most:
            return allowed, np.zeros(len(allowed), np.float32)
        codes = np.unique(self.draw(most, rng))
        chance = -np.expm1(most * np.log1p(-np.exp(self._log_prob[codes].astype(np.float64))))
        return codes, np.log(chance).astype(np.float32)
