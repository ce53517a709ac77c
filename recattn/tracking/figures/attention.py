"""The picture of what a model looks at: attention by the age of interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recattn.schema.columns import ITEM, TIME
from recattn.tracking.figures.style import COLOURS, INK, dress, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOUR, DAY = 3600, 86_400
AGES = {
    "< 1 h": HOUR,
    "1-24 h": DAY,
    "1-7 d": 7 * DAY,
    "7-30 d": 30 * DAY,
    "1-3 m": 91 * DAY,
    "3-12 m": 365 * DAY,
    "> 1 y": np.inf,
}
PLACES = {"1": 2, "2": 3, "3": 4, "4-5": 6, "6-10": 11, "11-20": 21, "21-50": 51, "> 50": np.inf}
_WEIGHT = "weight of attention"
_TERMS = {"attention": _WEIGHT, "transitions": "size of the transition terms"}


def attention_age(parts: pd.DataFrame, moments: pd.Series | None) -> Figure | None:
    """Share of the attention that interactions of each age get, beside their share of the interactions.

    Args:
        parts: Of `Recommender.parts`. A model without attention is shown by its transition terms.
        moments: Seconds, the moment of each slate row; None (and for order-only models): by place, 1 = the last.

    Returns:
        None where no term is about interactions.
    """
    lines = parts[parts[f"history_{ITEM}"].notna()]
    term = next((name for name in _TERMS if (lines["term"] == name).any()), None)
    if term is None:
        return None
    everything = parts[parts["term"] == term]
    lines = lines[lines["term"] == term]
    weights = lines["weight"] if term == "attention" else lines["value"].abs()
    if weights.sum() <= 0:
        return None
    stamps = f"history_{TIME}"
    if moments is not None and stamps in lines:
        groups = _cut(moments.loc[lines["row"]].to_numpy() - lines[stamps].to_numpy(), AGES)
        across = "age of the interaction"
    else:
        by = ["row", "head" if term == "attention" else "table"]
        groups = _cut(lines.groupby(by, dropna=False).cumcount(ascending=False).to_numpy() + 1, PLACES)
        across = "interactions ago"
    table = weights.groupby(groups, observed=False).agg(["sum", "size"])
    table = table.loc[: table.index[table["size"] > 0][-1]]
    shares, even = table["sum"] / table["sum"].sum(), table["size"] / table["size"].sum()
    figure, (axes,) = sheet(width=5.6)
    places = np.arange(len(table))
    axes.bar(places, shares, width=0.62, color=COLOURS[0], alpha=0.85, label=_TERMS[term])
    axes.plot(places, even, "o", color=COLOURS[1], markersize=6, label="share of interactions")
    axes.set_xticks(places, [str(name) for name in table.index])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    dress(axes, f"where {term} {'goes' if term == 'attention' else 'come from'}", across=across, legend=True)
    nothing = everything.loc[everything[f"history_{ITEM}"].isna(), "weight"].sum() if term == "attention" else 0.0
    if nothing:
        share = nothing / everything["weight"].sum()
        axes.set_title(f"none: {share:.0%}", fontsize=9, color=INK, loc="right", pad=10)
    return figure


def _cut(values: np.ndarray, ends: dict[str, float]) -> pd.Categorical:
    """The first group whose end lies above the value."""
    codes = np.searchsorted(list(ends.values()), np.maximum(values, 0), side="right").clip(max=len(ends) - 1)
    return pd.Categorical(np.array(list(ends), dtype=object)[codes], categories=list(ends), ordered=True)
