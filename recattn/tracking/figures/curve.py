"""The picture of a fit: how loss and ranking went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recattn.tracking.figures.style import COLOURS, dress, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[int, float]]

_LOSSES = ("train/loss", "valid/loss")
_HEADLINE = "valid/ndcg_at_10"


def learning_curve(curves: Curves) -> Figure | None:
    """Loss on the left, validation metrics on the right, both by epoch (0-based); None with nothing to draw.

    `curves` maps a metric's name to {epoch: value}. The losses are `train/loss` and `valid/loss`, or, without
    either, what else ends in `loss`. The metric is `valid/ndcg_at_10`, or, without it, up to five of `valid/`.
    """
    losses = [name for name in _LOSSES if curves.get(name)] or _found(curves, ("train/", "valid/"), losses=True)
    ranking = [_HEADLINE] if curves.get(_HEADLINE) else _found(curves, ("valid/",), losses=False)
    panels = [(title, names) for title, names in (("loss", losses), ("validation", ranking)) if names]
    if not panels:
        return None
    figure, places = sheet(len(panels))
    for axes, (title, names) in zip(places, panels, strict=True):
        for colour, name in zip(COLOURS, names, strict=False):
            _line(axes, sorted(curves[name].items()), name, colour)
        _whole_epochs(axes)
        dress(axes, names[0] if len(names) == 1 else title, across="epoch", legend=len(names) > 1)
        if title == "validation" and len(names) == 1:
            _mark_best(axes, curves[names[0]])
    return figure


def _found(curves: Curves, prefixes: tuple[str, ...], *, losses: bool) -> list[str]:
    names = (name for name, curve in curves.items() if curve and name.startswith(prefixes))
    return sorted(name for name in names if name.endswith("loss") is losses)[: len(COLOURS)]


def _line(axes: Any, points: list[tuple[int, float]], name: str, colour: str) -> None:
    epochs, values = zip(*points, strict=True)
    marker = "o" if len(points) <= 40 else None
    axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=name)


def _mark_best(axes: Any, curve: Mapping[int, float]) -> None:
    epoch, value = max(sorted(curve.items()), key=lambda point: point[1])
    axes.plot([epoch], [value], "o", color=COLOURS[1], markersize=7, zorder=3)
    late = epoch > (min(curve) + max(curve)) / 2
    axes.annotate(
        f"{value:.4f} at epoch {epoch}",
        (epoch, value),
        xytext=(-8 if late else 8, 8),
        textcoords="offset points",
        ha="right" if late else "left",
        fontsize=9,
        color=COLOURS[1],
    )
    axes.margins(y=0.15)


def _whole_epochs(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
