"""What a comparison's page says of the lists: what they share, what they show, whose changed most."""

from __future__ import annotations

from html import escape
from typing import Any

from recattn.comparison import ComparisonResult
from recattn.comparison.words import metric_title
from recattn.pages.comparison_tables import cell, table
from recattn.pages.plots import signed


def heat_map(result: ComparisonResult) -> str:
    """Overlap and rank-biased overlap of every two contenders."""
    if not len(result.pairs):
        return ""
    pairs = result.pairs.set_index(["first", "second"])
    names = list(dict.fromkeys(result.pairs["first"]))
    rows = []
    for one in names:
        cells = []
        for other in names:
            pair = pairs.loc[(one, other)]
            if one == other:
                cells.append("<td class=self>·</td>")
                continue
            said = (
                f"{one} and {other}: overlap {pair['overlap']:.1%}, rank-biased overlap {pair['rbo']:.3f}, "
                f"same first item {pair['same_first']:.1%}"
            )
            cells.append(
                f'<td style="--a:{0.75 * pair["overlap"]:.2f}" title="{escape(said)}">{pair["overlap"]:.0%}'
                f"<small> {pair['rbo']:.2f}</small></td>"
            )
        rows.append(f"<tr><th scope=row>{escape(one)}</th>{''.join(cells)}</tr>")
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    note = (
        f"<p class=note>How much of the first {result.k} places two contenders share: items in both lists over items "
        "in either, and (small) their rank-biased overlap, which counts the first places most.</p>"
    )
    body = f"<thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"{note}<div class=wide><table class=heat>{body}</table></div>"


def exposure(result: ComparisonResult) -> str:
    """How many items are shown, and how evenly."""
    if not len(result.exposure):
        return ""
    known = "popularity" in result.exposure
    rows = []
    for row in result.exposure.to_dict("records"):
        cells = [
            escape(row["contender"]),
            cell(f"{row['items']:,}"),
            cell(f"{row['effective_items']:,.0f}"),
            cell(f"{row['top_share']:.1%}"),
            cell(f"{row['new']:.1%}"),
        ]
        rows.append([*cells, cell(f"{row['popularity']:,.1f}")] if known else cells)
    heads = ["", "items shown", "as even as", "20 most shown take", "new against first"]
    note = (
        "<p class=note>“As even as” so many items shown equally often (exponential of the entropy). “New”: places "
        "given to items that the first contender never shows.</p>"
    )
    return "<h3>What is shown</h3>" + note + table([*heads, "mean popularity"] if known else heads, rows)


def changed_lists(result: ComparisonResult) -> str:
    """A few requests whose lists changed most."""
    if not len(result.changed):
        return ""
    parts = [_swap(row, result) for row in result.changed.to_dict("records")]
    return f"<h3>Lists that changed most</h3>{''.join(parts)}"


def _swap(row: dict[Any, Any], result: ComparisonResult) -> str:
    ours, theirs = row["items"], row["reference_items"]
    old = "".join(f"<li{'' if item in ours else ' class=gone'}>{escape(item)}</li>" for item in theirs)
    new = "".join(f"<li{'' if item in theirs else ' class=came'}>{escape(item)}</li>" for item in ours)
    shared = len(set(ours) & set(theirs))
    moved = (
        f"{metric_title(result.metric)} {signed(row['difference'])}" if row["difference"] else "no change of the metric"
    )
    return (
        f"<details><summary>{escape(row['contender'])}, request {escape(row['request'])}: {shared} of {len(theirs)} "
        f"items kept, {moved}</summary><div class=swap><div><h3>{escape(result.reference)}</h3><ol>{old}</ol></div>"
        f"<div><h3>{escape(row['contender'])}</h3><ol>{new}</ol></div></div></details>"
    )
