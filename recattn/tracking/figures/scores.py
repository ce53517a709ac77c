"""The pictures of scores: how they lie, and whether probabilities can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recattn.evaluation.calibration_error import calibration_bins, calibration_error
from recattn.schema.columns import LABEL, RANK, SCORE
from recattn.tracking.figures.style import COLOURS, GREY, GRID, dress, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 40


def score_distribution(scored: pd.DataFrame) -> Figure | None:
    """Scores of label 1 and of label 0; without labels, of the first and of the last rank; None without scores.

    Each histogram covers the same range and has the area one.
    """
    scores = scored[SCORE].to_numpy(np.float64)
    if LABEL in scored:
        groups = {f"label {label}": scores[(scored[LABEL] == label).to_numpy()] for label in (1, 0)}
    else:
        ranks = scored[RANK].to_numpy()
        groups = {f"rank {rank}": scores[ranks == rank] for rank in dict.fromkeys((1, ranks.max(initial=1)))}
    parts = {name: part[np.isfinite(part)] for name, part in groups.items() if np.isfinite(part).any()}
    if not parts:
        return None
    edges = np.histogram_bin_edges(np.concatenate(list(parts.values())), _BINS)
    figure, (axes,) = sheet()
    for (name, part), colour in zip(parts.items(), COLOURS, strict=False):
        axes.hist(part, edges, density=True, color=colour, alpha=0.35, histtype="stepfilled")
        axes.hist(part, edges, density=True, color=colour, linewidth=1.6, histtype="step", label=name)
    axes.set_yticks([])
    axes.margins(y=0.12)
    dress(axes, "scores", across="score", legend=len(parts) > 1)
    return figure


def calibration(labels: pd.Series, probabilities: pd.Series, weights: pd.Series | None = None) -> Figure | None:
    """Observed share of label 1 against the mean probability, by `calibration_bins`; None without a row."""
    known = labels.notna() & probabilities.notna()
    if not known.any():
        return None
    weights = pd.Series(1.0, labels.index) if weights is None else weights
    truth, told, mass = (column[known].to_numpy(np.float64) for column in (labels, probabilities, weights))
    groups = calibration_bins(truth, told, mass)
    means, shares, sizes = (groups[name].to_numpy() for name in ("probability", "positives", "rows"))
    spread = 1.96 * np.sqrt(shares * (1 - shares) / sizes)
    error = calibration_error(groups)
    top = min(1.0, 1.08 * max(means.max(), (shares + spread).max(), 1e-3))
    figure, (axes,) = sheet(width=4.2, height=4.0)
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.errorbar(means, shares, yerr=spread, color=COLOURS[0], marker="o", markersize=5, linewidth=1.6, capsize=3)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    dress(axes, f"calibration (error {error:.4f})", across="probability told", up="share of label 1")
    return figure
