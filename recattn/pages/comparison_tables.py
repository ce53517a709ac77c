"""The tables of a comparison's page: metrics, settings, cost, rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import pandas as pd

from recattn.comparison import ComparisonResult
from recattn.comparison.words import metric_title
from recattn.pages.plots import signed

_COSTS = {
    "fit_seconds": ("time to fit", lambda value: _seconds(value)),
    "recommend_seconds": ("time to recommend", lambda value: _seconds(value)),
    "peak_memory_mb": ("peak memory", lambda value: f"{value:,.0f} MB"),
    "parameters": ("parameters", lambda value: f"{value:,.0f}"),
}
_FEWER_IS_BETTER = ("average_popularity", "gini", "log_loss", "calibration")
_NOT_QUALITY = ("novelty", "diversity", "intra")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already, or `(class, HTML)` joined by a bar in `cell`; the first names the row."""
    top = "".join(f"<th scope=col>{head}</th>" for head in heads)
    body = "".join(
        f"<tr><th scope=row class=who>{first}</th>{''.join(cells)}</tr>"
        for first, *cells in (list(row) for row in rows)
    )
    return f"<div class=wide><table class=figures><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def cell(text: str, kind: str = "") -> str:
    """A cell of HTML."""
    return f"<td class={kind}>{text}</td>" if kind else f"<td>{text}</td>"


def metrics(result: ComparisonResult) -> str:
    """Every metric of every contender with the interval of its difference; the best of a column is bold."""
    names = [str(name) for name in result.values if name != "contender"]
    names.sort(key=lambda name: name != result.metric)
    found = {(row["contender"], row["metric"]): row for row in result.effects.to_dict("records")}
    rows = []
    for row in result.values.to_dict("records"):
        cells = [escape(row["contender"])]
        for name in names:
            text = f"{row[name]:.4f}"
            if effect := found.get((row["contender"], name)):
                text += f"<small>{signed(effect['low'])} to {signed(effect['high'])}</small>"
            cells.append(cell(text, "lead" if _best(result.values, name) == row[name] else ""))
        rows.append(cells)
    note = (
        "<p class=note>Under each value the interval of its difference from the reference. Only the headline is "
        "tested; the intervals of the others are not corrected for their number.</p>"
    )
    return note + table(["", *(metric_title(name) for name in names)], rows)


def _best(values: pd.DataFrame, name: str) -> float | None:
    """None where neither more nor less is better."""
    if name.startswith(_NOT_QUALITY) or (values[name] == values[name].iloc[0]).all():
        return None
    return float(values[name].min() if name.startswith(_FEWER_IS_BETTER) else values[name].max())


def settings(result: ComparisonResult) -> str:
    """Only settings that differ."""
    if not len(result.params):
        return ""
    names = [str(name) for name in result.params if name != "setting"]
    rows = [
        [f"<code>{escape(str(row['setting']))}</code>", *(cell(_value(row[name])) for name in names)]
        for row in result.params.to_dict("records")
    ]
    note = "<p class=note>Settings that are not the same everywhere.</p>"
    return note + table(["setting", *map(escape, names)], rows)


def costs(result: ComparisonResult) -> str:
    """What each contender took; beside it how many times the reference's."""
    if not len(result.cost):
        return ""
    names = [str(name) for name in result.cost if name != "contender"]
    base = result.cost.set_index("contender").loc[result.reference]
    rows = []
    for row in result.cost.to_dict("records"):
        cells = [escape(row["contender"])]
        for name in names:
            value, own = row[name], row["contender"] == result.reference
            text = "–" if value != value or value is None else _cost(name)[1](value)
            ratio = value / base[name] if text != "–" and not own and base[name] else float("nan")
            cells.append(
                cell(text + (f"<small>× {ratio:,.{0 if ratio >= 10 else 2}f}</small>" if ratio == ratio else ""))
            )
        rows.append(cells)
    return table(["", *(_cost(name)[0] for name in names)], rows)


def policy(result: ComparisonResult) -> str:
    """The rules and counts of each evaluation; those that differ first."""
    names = [str(name) for name in result.policy if name != "rule"]
    rows = [
        [f"<code>{escape(str(row['rule']))}</code>", *(cell(_value(row[name])) for name in names)]
        for row in result.policy.to_dict("records")
    ]
    members = [
        [escape(str(row["contender"])), cell(str(row["seeds"])), cell(f"<code>{escape(row['members'])}</code>")]
        for row in result.contenders.to_dict("records")
    ]
    about = table(["contender", "seeds", "runs"], members) if result.contenders["members"].any() else ""
    return (
        f"{about}<details><summary>All rules and counts</summary>{table(['rule', *map(escape, names)], rows)}</details>"
    )


def _cost(name: str) -> tuple[str, Callable[[float], str]]:
    return _COSTS.get(name, (escape(name.replace("_", " ")), lambda value: f"{value:,.4g}"))


def _seconds(value: float) -> str:
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:,.1f} min" if value < 7200 else f"{value / 3600:,.1f} h"


def _value(value: Any) -> str:
    if value is None or value != value:
        return "–"
    text = str(value)
    return escape(text if len(text) <= 40 else f"{text[:20]}…")
