"""How the figures of a run look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#718096")
INK, GREY, GRID, PALE = "#2d3748", "#718096", "#e2e8f0", "#bee3f8"


def sheet(panels: int = 1, width: float = 4.8, height: float = 3.6) -> tuple[Figure, list[Any]]:
    """A white figure of `panels` axes side by side, without pyplot and its state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, height), dpi=150, layout="constrained", facecolor="white")
    return figure, [figure.add_subplot(1, panels, number) for number in range(1, panels + 1)]


def dress(axes: Any, title: str, *, across: str, up: str = "", legend: bool = False) -> None:
    """Title at the left, quiet axes, a grid for reading heights."""
    axes.set_title(title, fontsize=11, color=INK, loc="left", pad=10)
    axes.set_xlabel(across, fontsize=9, color=GREY)
    axes.set_ylabel(up, fontsize=9, color=GREY)
    axes.tick_params(labelsize=8.5, colors=GREY, length=0)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    if legend:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def title_of(metric: str) -> str:
    """`NDCG@10` for `ndcg_at_10`."""
    stem, _, k = metric.rpartition("_at_")
    words = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "hit_rate": "HitRate", "auc": "AUC"}
    name = words.get(stem or k, (stem or k).replace("_", " ").capitalize())
    return f"{name}@{k}" if stem else name
