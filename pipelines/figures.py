"""The pictures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

import recattn as ra
from recattn.cli.judging import title
from recattn.evaluation import mean_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#718096")  # the first is the model's
_INK, _GREY, _GRID = "#2d3748", "#718096", "#e2e8f0"
_BY = {"history": "length of history", "target": "target"}


def comparison(reports: Mapping[str, ra.Report], metric: str, part: str) -> Figure:
    """A dot a recommender, the best above, with the 95 % interval of its mean over resampled users."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1.2 + 0.45 * len(reports)), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    colours = dict(zip(reports, _repeated(len(reports)), strict=True))
    found = {name: mean_interval(report, metric) for name, report in reports.items()}
    names = sorted(found, key=lambda name: found[name].mean)
    for place, name in enumerate(names):
        one = found[name]
        axes.plot([one.low, one.high], [place, place], color=colours[name], linewidth=2.2, solid_capstyle="round")
        axes.plot([one.mean], [place], "o", color=colours[name], markersize=7)
        axes.annotate(
            f"{one.mean:.4f}",
            (one.mean, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=colours[name],
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.3)
    requests = next(iter(found.values())).requests
    _dress(axes, f"{title(metric)} on {requests:,} {part} requests, with 95% intervals", grid="x")
    return figure


def segments(table: pd.DataFrame, metric: str) -> Figure:
    """`by_segment`'s table: a panel for histories, one for targets, a bar a recommender."""
    from matplotlib.figure import Figure

    names = list(table.columns[3:])
    panels = list(table.groupby("by", sort=False))
    widths = [len(rows) + 1 for _, rows in panels]
    figure = Figure(figsize=(9.6, 3.8), dpi=150, layout="constrained", facecolor="white")
    grid = figure.add_gridspec(1, len(panels), width_ratios=widths)
    for column, (by, rows) in enumerate(panels):
        axes = figure.add_subplot(grid[column])
        for number, (name, colour) in enumerate(zip(names, _repeated(len(names)), strict=True)):
            shift = 0.8 * ((number + 0.5) / len(names) - 0.5)
            axes.bar([at + shift for at in range(len(rows))], rows[name], 0.8 / len(names), color=colour, label=name)
        labels = [f"{segment}\n{n:,}" for segment, n in zip(rows["segment"], rows["requests"], strict=True)]
        axes.set_xticks(range(len(rows)), labels)
        _dress(axes, f"{title(metric)} by {_BY[by]}", grid="y")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=8, frameon=False, fontsize=8.5, labelcolor=_INK)
    return figure


def _repeated(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]


def _dress(axes: Any, heading: str, *, grid: str) -> None:
    axes.set_title(heading, fontsize=10.5, color=_INK, loc="left", pad=10)
    axes.tick_params(labelsize=8.5, colors=_GREY, length=0)
    axes.grid(axis=grid, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
