"""How well scores put positives above negatives."""

from __future__ import annotations

import numpy as np
import pandas as pd


def auc_by_group(groups: np.ndarray, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> pd.Series:
    """float64, by group: the share of (positive, negative) pairs in which the positive has the higher score.

    Pairs count the product of their weights, pairs of equal scores half. NaN for groups without a pair.

    Args:
        groups: Of each row, [M].
        labels: 0 or 1, [M].
        scores: float [M], no NaN.
        weights: float [M], at least 0.

    Source: Fawcett (2006), An introduction to ROC analysis; within users, Zhu et al. (2017), Optimized cost per click
    in Taobao display advertising (GAUC).
    """
    rows = pd.DataFrame({"group": groups, "score": scores, "up": weights * labels, "down": weights * (1 - labels)})
    ties = rows.groupby(["group", "score"]).sum()  # in the order of the scores
    below = ties.groupby("group")["down"].cumsum() - ties["down"] / 2
    won = (ties["up"] * below).groupby("group").sum()
    total = ties.groupby("group").sum()
    pairs = total["up"] * total["down"]
    return won / pairs.where(pairs > 0)
