"""The picture of what a model looks at: attention by the age of interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recattn.schema.columns import ITEM, POSITION, TIME
from recattn.tracking.figures.style import COLOURS, INK, dress, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOUR, DAY = 3600, 86_400
AGES = {
    "< 1 h": HOUR,
    "1-24 h": DAY,
    "1-7 d": 7 * DAY,
    "7-30 d": 30 * DAY,
    "1-3 mo": 91 * DAY,
    "3-12 mo": 365 * DAY,
    "> 1 y": np.inf,
}
PLACES = {"1": 2, "2": 3, "3": 4, "4-5": 6, "6-10": 11, "11-20": 21, "21-50": 51, "> 50": np.inf}
_SHARE = "share of the interactions"


def attention_age(parts: pd.DataFrame, changes: pd.DataFrame, moments: pd.Series | None) -> Figure | None:
    """Share of the attention that interactions of each age get, beside their share of the interactions.

    A model without weights of attention is shown by how much masking an interaction changes the score.

    Args:
        parts: Of `Recommender.parts`.
        changes: Of `Recommender.explain`, all interactions.
        moments: Seconds, the moment of each slate row; None (and for order-only models): by place, 1 = the last.

    Returns:
        None where there is no interaction to look at.
    """
    everything = parts[parts["term"] == "attention"]
    lines, by = everything[everything[f"history_{ITEM}"].notna()], ["row", "head"]
    title, what = "where the attention goes", "weight of attention"
    weights = lines["weight"]
    if lines.empty:
        lines, by = changes.sort_values(["row", f"history_{POSITION}"], kind="stable"), ["row"]
        title, what = "which interactions move the score", "change of the score without it"
        weights = lines["change"].abs()
    if weights.sum() <= 0:
        return None
    stamps = f"history_{TIME}"
    if moments is not None and stamps in lines:
        groups = _cut(moments.loc[lines["row"]].to_numpy() - lines[stamps].to_numpy(), AGES)
        across = "age of the interaction"
    else:
        groups = _cut(lines.groupby(by).cumcount(ascending=False).to_numpy() + 1, PLACES)
        across = "interactions ago"
    table = weights.groupby(pd.Series(groups, index=weights.index), observed=False).agg(["sum", "size"])
    table = table.loc[: table.index[table["size"] > 0][-1]]
    shares, even = table["sum"] / table["sum"].sum(), table["size"] / table["size"].sum()
    figure, (axes,) = sheet(width=5.6)
    places = np.arange(len(table))
    axes.bar(places, shares, width=0.62, color=COLOURS[0], alpha=0.85, label=what)
    axes.plot(places, even, "o", color=COLOURS[1], markersize=6, label=_SHARE)
    axes.set_xticks(places, [str(name) for name in table.index])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    dress(axes, title, across=across)
    axes.legend(*(part[::-1] for part in axes.get_legend_handles_labels()), frameon=False, fontsize=8.5, labelcolor=INK)
    if len(everything):
        nothing = 1 - weights.sum() / everything["weight"].sum()
        axes.set_title(f"on no interaction: {nothing:.0%}", fontsize=9, color=INK, loc="right", pad=10)
    return figure


def _cut(values: np.ndarray, ends: dict[str, float]) -> pd.Categorical:
    """The first group whose end lies above the value."""
    codes = np.searchsorted(list(ends.values()), np.maximum(values, 0), side="right").clip(max=len(ends) - 1)
    return pd.Categorical(np.array(list(ends), dtype=object)[codes], categories=list(ends), ordered=True)
