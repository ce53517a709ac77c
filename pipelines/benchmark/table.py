"""The tables and the picture of all finished cells, and the README's copy of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from pipelines.benchmark.cells import RESULTS, whole
from pipelines.benchmark.figure import picture
from pipelines.benchmark.protocols import PROTOCOLS
from pipelines.benchmark.summary import PAIR, Found, by_model, by_segment, leads
from pipelines.command import command
from recattn.errors import DataError

README = Path(__file__).parent / "README.md"
HEADS = {
    "ndcg_at_10": "NDCG@10",
    "hit_rate_at_10": "HR@10",
    "recall_at_20": "Recall@20",
    "mrr_at_10": "MRR@10",
    "coverage_at_10": "coverage",
    "train_seconds": "seconds",
    "settings_tried": "tried",
}


def table(
    *,
    results: str = str(RESULTS),
    readme: str | None = str(README),
    ours: str | None = None,
    by: Literal["length", "target"] | None = None,
) -> pd.DataFrame:
    """Write table.csv, table.md and table.png of the finished cells, and fill the marked places of the README.

    Args:
        results: Folder of the finished cells.
        readme: The file with `<!-- table -->` ... `<!-- /table -->`; null leaves it.
        ours: The model that is compared with the best rival; null compares all of ours.
        by: Print NDCG@10 by `length` of the history or by `target` (known or cold) instead; writes by-length.csv.
    """
    folder = Path(results)
    found = Found.read(folder)
    if not len(found.cells):
        raise DataError(f"there are no finished cells in {str(folder / 'cells')!r}. Run pipelines.benchmark.run first.")
    if by is not None:
        shown = by_segment(found, by)
        _write(folder / f"by-{by}.csv", shown.round(5).to_csv(index=False))
        print(shown.round(4).to_string(index=False))
        return shown
    models, lead = by_model(found), leads(found, ours)
    _write(folder / "table.csv", models.round(6).to_csv(index=False))
    text = markdown(models, lead)
    _write(folder / "table.md", text)
    with whole(folder / "table.png") as temporary:
        picture(models).savefig(temporary, format="png")
    if readme is not None:
        fill(Path(readme), "table", text)
    print(text)
    return models


def markdown(models: pd.DataFrame, lead: pd.DataFrame) -> str:
    """A table a data set and protocol, the ablations in tables of their own, then the leads."""
    parts = []
    for (dataset, protocol), rows in models.groupby(PAIR, sort=False):
        first = rows.iloc[0]
        parts.append(
            f"**{dataset}, {protocol}**{legacy(protocol)}: {judged(protocol, first['part'])}, "
            f"{first['requests']:,} requests, {first['cold_share']:.1%} of the targets cold"
        )
        ablated = rows["group"] == "ablation"
        parts.append(_rows(rows[~ablated]))
        if ablated.any():
            whole_model = rows[rows["model"] == "recattn"]
            parts += [f"Ablations on {dataset}, {protocol}", _rows(pd.concat([whole_model, rows[ablated]]))]
    if len(lead):
        parts += ["**Ours against the rival that is best on validation** (NDCG@10)", _leads(lead)]
    return "\n\n".join(parts) + "\n"


def legacy(protocol: str) -> str:
    """A warning beside the figures of a protocol that leaks."""
    known = PROTOCOLS.get(protocol)
    return " (legacy: train holds the future of other users)" if known is not None and known.legacy else ""


def judged(protocol: str, part: str) -> str:
    """The part, and what its models were fitted on where that is not train."""
    known = PROTOCOLS.get(protocol)
    again = part == "test" and known is not None and known.refits
    return f"{part}, refitted on train + validation" if again else part


def fill(path: Path, name: str, text: str) -> None:
    """Put `text` between the markers `<!-- name -->` and `<!-- /name -->` of a file."""
    before = path.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in before or end not in before:
        raise DataError(
            f"{str(path)!r} has no place for the table: write {begin} and {end}, each on a line of its own."
        )
    after = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}{end}", before, flags=re.DOTALL)
    if after != before:
        _write(path, after)


def _rows(rows: pd.DataFrame) -> str:
    shown = pd.DataFrame({"model": rows["model"], "group": rows["group"]})
    shown["NDCG@10"] = [
        f"{mean:.4f}" + (f" ± {sd:.4f}" if seeds > 1 else "")
        for mean, sd, seeds in zip(rows["ndcg_at_10"], rows["sd"], rows["seeds"], strict=True)
    ]
    shown["95 %"] = [f"{low:.4f} to {high:.4f}" for low, high in zip(rows["low"], rows["high"], strict=True)]
    for name in ("hit_rate_at_10", "recall_at_20", "mrr_at_10", "coverage_at_10"):
        shown[HEADS[name]] = rows[name].map("{:.4f}".format)
    shown["seeds"], shown["tried"] = rows["seeds"], rows["settings_tried"]
    shown["seconds"] = rows["train_seconds"].map("{:,.0f}".format)
    return _pipes(shown)


def _leads(lead: pd.DataFrame) -> str:
    shown = lead[["dataset", "protocol", "part", "model", "rival"]].copy()
    shown["lead"] = lead["lead"].map("{:+.4f}".format)
    shown["95 %"] = [f"{low:+.4f} to {high:+.4f}" for low, high in zip(lead["low"], lead["high"], strict=True)]
    shown["p (Holm)"] = lead["p"].map("{:.4f}".format)
    shown["seeds"] = lead["seeds"]
    return _pipes(shown)


def _pipes(frame: pd.DataFrame) -> str:
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _write(path: Path, text: str) -> None:
    with whole(path) as temporary:
        temporary.write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.benchmark.table`; the exit status."""
    return command(table, arguments)


if __name__ == "__main__":
    sys.exit(main())
