"""From a score to the probability of a positive label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from recattn.errors import DataError


@dataclass(frozen=True)
class Calibration:
    """p = 1 / (1 + exp(-(slope * score + intercept))) (Platt 1999): the order of scores stays."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray) -> Calibration:
        """From scores float [M] and labels 0 or 1 [M]; rows with a NaN score are left out.

        Raises:
            DataError: Labels other than 0 and 1, only one kind of them, or higher scores for fewer positives.
        """
        from sklearn.linear_model import LogisticRegression

        known = np.isfinite(scores)
        scores, labels = scores[known], labels[known]
        kinds = np.unique(labels)
        if not np.isin(kinds, [0, 1]).all():
            raise DataError(
                f"labels must be 0 or 1 to calibrate on, got {kinds[~np.isin(kinds, [0, 1])][:3].tolist()}."
            )
        if len(kinds) < 2:
            raise DataError(
                f"the {len(labels):,} labelled rows with a score are all of one label ({kinds.tolist()}). "
                "Calibration needs positives and negatives."
            )
        fitted = LogisticRegression(C=np.inf).fit(scores[:, None].astype(np.float64), labels.astype(np.int64))
        slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
        if slope <= 0:
            raise DataError(
                f"on the labelled rows higher scores come with fewer positives (slope {slope:.3g}). "
                "Check the labels, or the history given."
            )
        return cls(slope, intercept)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """float32 [M] of scores [M]; NaN stays NaN."""
        return expit(self.slope * scores.astype(np.float64) + self.intercept).astype(np.float32)
