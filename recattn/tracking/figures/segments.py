"""The picture of a metric by kind of request: for whom the model is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recattn.tracking.figures.style import COLOURS, GREY, INK, dress, sheet, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recattn.evaluation import Report

_CLOSE = 1.96


def metric_by_segment(report: Report, column: str, metric: str, across: str) -> Figure:
    """Mean of `metric` in each group of `column` with its 95 % interval, and the mean of all as a line.

    Groups are those of `Report.segment`; the interval is the normal one of a mean, none for a single request.
    """
    values, groups = report.values(metric), report.segment(column)
    table = values.groupby(groups.to_numpy(), observed=True).agg(["mean", "sem", "size"])
    table = table.reindex([group for group in groups.cat.categories if group in table.index])
    figure, (axes,) = sheet(width=max(4.8, 0.95 * len(table) + 1.2))
    places = np.arange(len(table))
    axes.axhline(values.mean(), color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.bar(places, table["mean"], width=0.62, color=COLOURS[0], alpha=0.85, zorder=2)
    reach = _CLOSE * table["sem"].fillna(0.0).to_numpy()
    low = np.minimum(reach, table["mean"].to_numpy())  # a metric is never below zero
    axes.errorbar(places, table["mean"], yerr=[low, reach], fmt="none", ecolor=INK, elinewidth=1.1, capsize=3, zorder=3)
    labels = [f"{group}\n{size:,}" for group, size in zip(table.index, table["size"], strict=True)]
    axes.set_xticks(places, labels)
    axes.set_xlim(-0.6, len(table) - 0.4)
    axes.set_ylim(bottom=0)
    note = f"{across}, number of requests below; all: {values.mean():.4f}"
    dress(axes, f"{title_of(metric)} by {across}", across=note)
    return figure
