"""The picture of a fit: how loss and ranking went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[int, float]]

_COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#718096")
_INK, _GREY, _GRID = "#2d3748", "#718096", "#e2e8f0"
_LOSSES = ("train/loss", "valid/loss")
_HEADLINE = "valid/ndcg_at_10"


def learning_curve(curves: Curves) -> Figure | None:
    """Loss on the left, validation metrics on the right, both by epoch (0-based); None with nothing to draw.

    `curves` maps a metric's name to {epoch: value}. The losses are `train/loss` and `valid/loss`, or, without
    either, what else ends in `loss`. The metric is `valid/ndcg_at_10`, or, without it, up to five of `valid/`.
    """
    from matplotlib.figure import Figure

    losses = [name for name in _LOSSES if curves.get(name)] or _found(curves, ("train/", "valid/"), losses=True)
    ranking = [_HEADLINE] if curves.get(_HEADLINE) else _found(curves, ("valid/",), losses=False)
    panels = [(title, names) for title, names in (("loss", losses), ("validation", ranking)) if names]
    if not panels:
        return None
    figure = Figure(figsize=(4.8 * len(panels), 3.6), dpi=150, layout="constrained", facecolor="white")
    for number, (title, names) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        for colour, name in zip(_COLOURS, names, strict=False):
            _line(axes, sorted(curves[name].items()), name, colour)
        _dress(axes, names[0] if len(names) == 1 else title, legend=len(names) > 1)
        if title == "validation" and len(names) == 1:
            _mark_best(axes, curves[names[0]])
    return figure


def _found(curves: Curves, prefixes: tuple[str, ...], *, losses: bool) -> list[str]:
    names = (name for name, curve in curves.items() if curve and name.startswith(prefixes))
    return sorted(name for name in names if name.endswith("loss") is losses)[: len(_COLOURS)]


def _line(axes: Any, points: list[tuple[int, float]], name: str, colour: str) -> None:
    epochs, values = zip(*points, strict=True)
    marker = "o" if len(points) <= 40 else None
    axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=name)


def _mark_best(axes: Any, curve: Mapping[int, float]) -> None:
    epoch, value = max(sorted(curve.items()), key=lambda point: point[1])
    axes.plot([epoch], [value], "o", color=_COLOURS[1], markersize=7, zorder=3)
    late = epoch > (min(curve) + max(curve)) / 2
    axes.annotate(
        f"{value:.4f} at epoch {epoch}",
        (epoch, value),
        xytext=(-8 if late else 8, 8),
        textcoords="offset points",
        ha="right" if late else "left",
        fontsize=9,
        color=_COLOURS[1],
    )
    axes.margins(y=0.15)


def _dress(axes: Any, title: str, legend: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize=11, color=_INK, loc="left", pad=10)
    axes.set_xlabel("epoch", fontsize=9, color=_GREY)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=8.5, colors=_GREY, length=0)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    if legend:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK)
