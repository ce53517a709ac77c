"""From finished cells to figures: one row a model, the trial that won on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import recattn as ra
from pipelines.benchmark import cells
from pipelines.benchmark.choose import HEADLINE, best_trial
from pipelines.benchmark.models import MODELS, RIVALS
from pipelines.benchmark.protocols import PROTOCOLS
from pipelines.segments import LENGTHS
from recattn.evaluation import holm, seeded_bootstrap, seeded_interval

PAIR = ["dataset", "protocol"]
METRICS = ["ndcg_at_10", "hit_rate_at_10", "recall_at_20", "mrr_at_10", "coverage_at_10"]


@dataclass(frozen=True)
class Found:
    """The cells the tables are made of, one row a cell: those of each model's winning trial."""

    cells: pd.DataFrame  # dataset, protocol, model, trial, seed, group, part, metrics, path, tried ...

    @classmethod
    def read(cls, results: Path) -> Found:
        """Of each data set and protocol the test cells where there are any, else those of validation."""
        valid, test = cells.read_all(results), _current(cells.read_all(results, "test"))
        kept = []
        for (dataset, protocol, name), rows in valid.groupby([*PAIR, "model"]) if len(valid) else []:
            won = best_trial(rows)
            opened = _of(test, dataset, protocol) if len(test) else test
            pool, part = (opened, "test") if len(opened) else (rows, "valid")
            mine = pool[(pool["model"] == name) & (pool["trial"] == won)]
            if mine.empty:
                print(f"{name} {dataset} {protocol}: left out, its winning trial {won} is not judged on test yet")
            chosen = rows[rows["trial"] == won]
            kept.append(
                mine.assign(
                    part=part,
                    tried=rows["trial"].nunique(),
                    valid=chosen[HEADLINE].mean(),
                    group=MODELS[name].group if name in MODELS else mine["group"],
                )
            )
        return cls(pd.concat(kept, ignore_index=True) if kept else pd.DataFrame())

    def reports(self, dataset: str, protocol: str, name: str) -> list[ra.Report]:
        """One a seed."""
        rows = _of(self.cells, dataset, protocol, name)
        return [cells.report(path) for path in rows.sort_values("seed")["path"]]

    def pairs(self) -> list[tuple[str, str]]:
        """Data sets and protocols there are cells of."""
        return [tuple(pair) for pair in self.cells[PAIR].drop_duplicates().itertuples(index=False)]

    def models(self, dataset: str, protocol: str) -> list[str]:
        """Models by the mean of their NDCG@10, the best first."""
        rows = _of(self.cells, dataset, protocol)
        return list(rows.groupby("model")[HEADLINE].mean().sort_values(ascending=False).index)


def by_model(found: Found) -> pd.DataFrame:
    """Metrics of each model: the mean over its seeds, with the spread and the 95 % interval of NDCG@10."""
    rows = []
    for (dataset, protocol), name in ((pair, name) for pair in found.pairs() for name in found.models(*pair)):
        mine = _of(found.cells, dataset, protocol, name)
        interval = seeded_interval(found.reports(dataset, protocol, name), HEADLINE)
        first = mine.iloc[0]
        rows.append(
            {
                "dataset": dataset,
                "protocol": protocol,
                "part": first["part"],
                "model": name,
                "group": first["group"],
                **mine[METRICS].mean().to_dict(),
                "sd": mine[HEADLINE].std(ddof=1),
                "low": interval.low,
                "high": interval.high,
                "seeds": len(mine),
                "requests": interval.requests,
                "cold_share": first["cold_share"],
                "train_seconds": mine["train_seconds"].mean(),
                "valid_ndcg_at_10": first["valid"],
                "settings_tried": first["tried"],
                "trial": first["trial"],
            }
        )
    return pd.DataFrame(rows)


def leads(found: Found, ours: str | None = None) -> pd.DataFrame:
    """Ours (all of that group, or one) against the rival that was best on validation, by data set and protocol.

    `p` is Holm-corrected over the rows.
    """
    rows = []
    for dataset, protocol in found.pairs():
        here = _of(found.cells, dataset, protocol)
        rivals = here[here["group"].isin(RIVALS)]
        mine = here[(here["group"] == "ours") if ours is None else (here["model"] == ours)]
        if rivals.empty:
            continue
        rival = str(rivals.loc[rivals["valid"].idxmax(), "model"])
        second = found.reports(dataset, protocol, rival)
        for name in sorted(mine["model"].unique()):
            first = found.reports(dataset, protocol, name)
            lead = seeded_bootstrap(first, second, HEADLINE)
            rows.append(
                {
                    "dataset": dataset,
                    "protocol": protocol,
                    "part": here.iloc[0]["part"],
                    "model": name,
                    "rival": rival,
                    "lead": lead.difference,
                    "low": lead.low,
                    "high": lead.high,
                    "p_alone": lead.p_value,
                    "seeds": f"{len(first)} + {len(second)}",
                    "requests": lead.requests,
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(p=holm(table["p_alone"])) if len(table) else table


def by_segment(found: Found, by: str, models: Sequence[str] = ()) -> pd.DataFrame:
    """NDCG@10 of each model by `length` of the history a request may see, or by `target`: known or cold."""
    tables = []
    for dataset, protocol in found.pairs():
        columns = {}
        for name in models or found.models(dataset, protocol):
            reports = found.reports(dataset, protocol, name)
            if not reports:
                continue
            frames = [report.per_request.set_index("request_id") for report in reports]
            columns[name] = sum(frame[HEADLINE] for frame in frames) / len(frames)
            about = frames[0]
        values = pd.DataFrame(columns)
        groups = values.groupby(_segments(about.reindex(values.index), by), observed=True)
        table = groups.mean().rename_axis("segment").reset_index()
        table.insert(1, "requests", groups.size().to_numpy())
        tables.append(table.assign(dataset=dataset, protocol=protocol).astype({"segment": str}))
    table = pd.concat(tables, ignore_index=True)
    return table[[*PAIR, *(name for name in table if name not in PAIR)]]


def _of(frame: pd.DataFrame, dataset: str, protocol: str, name: str | None = None) -> pd.DataFrame:
    mine = (frame["dataset"] == dataset) & (frame["protocol"] == protocol)
    return frame[mine if name is None else mine & (frame["model"] == name)]


def _current(test: pd.DataFrame) -> pd.DataFrame:
    """Without the cells of fits on train alone, where today's protocol refits."""
    if test.empty:
        return test
    again = test["protocol"].map(lambda name: name in PROTOCOLS and PROTOCOLS[name].refits)
    done = test["refitted"].eq(True) if "refitted" in test else pd.Series(False, index=test.index)
    return test[done | ~again]


def _segments(about: pd.DataFrame, by: str) -> pd.Series:
    if by == "length":
        return pd.cut(about["history"], [*LENGTHS.values(), float("inf")], right=False, labels=list(LENGTHS))
    return about["cold"].map({True: "cold", False: "known"})
