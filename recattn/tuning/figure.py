"""The picture of a search: its course, and what mattered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recattn.tuning.result import TuneResult

_BLUE, _ORANGE, _INK, _GREY, _GRID = "#2b6cb0", "#dd6b20", "#2d3748", "#718096", "#e2e8f0"


def course(result: TuneResult) -> Figure:
    """Each trial's value with the best so far on the left, importances on the right where they are known."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    known = dict(sorted(result.importances.items(), key=lambda pair: pair[1]))
    figure = Figure(figsize=(9.6 if known else 5.2, 3.6), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot(1, 2 if known else 1, 1)
    complete = result.trials[result.trials["state"] == "complete"]
    best = complete["value"].cummax()
    axes.plot(complete["trial"], complete["value"], "o", color=_BLUE, markersize=4.5, label="complete")
    axes.step(complete["trial"], best, where="post", color=_ORANGE, linewidth=1.8, label="best so far")
    for state, mark in (("pruned", "|"), ("failed", "x")):
        others = result.trials.loc[result.trials["state"] == state, "trial"]
        if len(others):
            at = [complete["value"].min()] * len(others)
            axes.plot(others, at, mark, color=_GREY, markersize=8, label=state)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK, loc="lower right")
    axes.margins(y=0.12)
    _dress(axes, result.metric, "trial", "y")
    if known:
        axes = figure.add_subplot(1, 2, 2)
        bars = axes.barh(list(known), list(known.values()), color=_BLUE, height=0.55)
        axes.bar_label(bars, labels=[f"{share:.0%}" for share in known.values()], padding=4, fontsize=8.5, color=_INK)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.margins(x=0.15)
        _dress(axes, "share of the variance explained (fANOVA)", "", "x")
    return figure


def _dress(axes: Any, title: str, label: str, grid: str) -> None:
    axes.set_title(title, fontsize=11, color=_INK, loc="left", pad=10)
    axes.set_xlabel(label, fontsize=9, color=_GREY)
    axes.tick_params(labelsize=8.5, colors=_GREY, length=0)
    axes.grid(axis=grid, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
