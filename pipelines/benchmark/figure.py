"""The picture of all results: a panel a data set and protocol, a dot with its interval a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from pipelines.benchmark.choose import HEADLINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"ours": "#2b6cb0", "rival": "#dd6b20", "peer": "#805ad5", "baseline": "#718096", "ablation": "#63b3ed"}
NAMES = {"ours": "recattn", "rival": "rivals in our code", "peer": "other libraries", "baseline": "baselines"}
INK, GREY, GRID = "#2d3748", "#718096", "#e2e8f0"


def picture(table: pd.DataFrame) -> Figure:
    """The table of `by_model`, without ablations, as a figure; the best model of a panel stands at its top."""
    from matplotlib.figure import Figure

    shown = table[table["group"] != "ablation"]
    panels = list(shown.groupby(["dataset", "protocol"], sort=False))
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    longest = max(len(panel) for _, panel in panels)
    size = (5.4 * columns + 0.6, (1.25 + 0.34 * longest) * rows + 0.5)
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False)
    for place in axes.flat[len(panels) :]:
        place.set_visible(False)
    for place, (_, panel) in zip(axes.flat, panels, strict=False):
        _panel(place, panel.sort_values(HEADLINE))
    used = [group for group in NAMES if group in set(shown["group"])]
    handles = [axes.flat[0].plot([], [], "o", color=COLOURS[group], label=NAMES[group])[0] for group in used]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(used), frameon=False, fontsize=9, labelcolor=INK
    )
    return figure


def _panel(axes: Any, panel: pd.DataFrame) -> None:
    for row, (_, one) in enumerate(panel.iterrows()):
        colour, ours = COLOURS[one["group"]], one["group"] == "ours"
        axes.plot([one["low"], one["high"]], [row, row], color=colour, linewidth=2.2, alpha=0.45, zorder=2)
        axes.plot([one[HEADLINE]], [row], "o", color=colour, markersize=8 if ours else 6.5, zorder=3)
        axes.annotate(
            f"{one[HEADLINE]:.4f}",
            (one["high"], row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
            fontweight="bold" if ours else "normal",
        )
    first = panel.iloc[0]
    axes.set_yticks(range(len(panel)), panel["model"])
    axes.set_ylim(-0.7, len(panel) - 0.3)
    low, high = min(0.0, panel["low"].min()), panel["high"].max()
    axes.set_xlim(low, high + 0.14 * (high - low))
    axes.set_title(f"{first['dataset']}, {first['protocol']}", fontsize=11.5, color=INK, loc="left", pad=20)
    about = f"NDCG@10 on {first['requests']:,} {first['part']} requests, 95% intervals; {first['cold_share']:.1%} cold"
    axes.text(0, 1.02, about, transform=axes.transAxes, fontsize=8.5, color=GREY, va="bottom")
    axes.tick_params(labelsize=9, colors=GREY, length=0)
    for label, group in zip(axes.get_yticklabels(), panel["group"], strict=True):
        label.set_color(INK if group != "ours" else COLOURS["ours"])
        label.set_fontweight("bold" if group == "ours" else "normal")
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
