"""Whether probabilities can be believed."""

from __future__ import annotations

import numpy as np
import pandas as pd

BINS = 10


def calibration_bins(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, bins: int = BINS
) -> pd.DataFrame:
    """Rows by probability in `bins` groups of equal weight, those without a row left out.

    Rows of equal probability go together, so that their order changes nothing; groups are then of unequal weight.

    Args:
        labels: 0 or 1, [M].
        probabilities: float [M].
        weights: float [M], at least 0; None: 1 each.
        bins: Number of groups.

    Returns:
        One row a group, from low to high: `weight`, `rows`, `probability` (mean), `positives` (share of label 1).
    """
    weights = np.ones(len(labels)) if weights is None else weights
    frame = pd.DataFrame(
        {"told": probabilities, "weight": weights, "rows": 1, "p": weights * probabilities, "y": weights * labels}
    )
    distinct = frame[frame["weight"] > 0].groupby("told").sum()
    middle = distinct["weight"].cumsum() - distinct["weight"] / 2
    groups = np.floor(middle / distinct["weight"].sum() * bins).clip(upper=bins - 1)
    sums = distinct.groupby(groups).sum().reset_index(drop=True)
    return pd.DataFrame(
        {
            "weight": sums["weight"],
            "rows": sums["rows"],
            "probability": sums["p"] / sums["weight"],
            "positives": sums["y"] / sums["weight"],
        }
    )


def calibration_error(groups: pd.DataFrame) -> float:
    """Mean over rows of |mean probability - share of positives| in the row's group of `calibration_bins` (ECE).

    Source: Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning; with
    groups of equal mass, Nixon et al. (2019), Measuring calibration in deep learning.
    """
    return float(np.average((groups["probability"] - groups["positives"]).abs(), weights=groups["weight"]))
