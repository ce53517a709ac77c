"""What a run keeps of an evaluation: rows, lists, tables, figures."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from recattn.errors import DataError, listed
from recattn.evaluation import Report
from recattn.schema.columns import (
    HISTORY_LENGTH,
    ITEM,
    LABEL,
    POPULARITY,
    PROBABILITY,
    RANK,
    REQUEST,
    SCORE,
    TARGET_POPULARITY,
    USER,
    WEIGHT,
)
from recattn.tracking import figures, privacy

SHOWN = "test"  # the evaluation that has figures and tables: they are at the same paths in every run
_HEADLINE = "ndcg_at_10"


def hidden(rows: pd.DataFrame, hash_ids: bool) -> pd.DataFrame:
    """`rows` with ids of users and requests hashed; the same id has the same hash in every frame."""
    ids = [name for name in (REQUEST, USER) if name in rows and hash_ids]
    return rows.assign(**{name: privacy.hashed(rows[name]) for name in ids})


def lists_of(report: Report, recommendations: pd.DataFrame) -> pd.DataFrame:
    """The lists as judged: the key, `user_id`, `item_id` (text), `rank` (from 1, without gaps), `score`.

    Of the report's requests only, cut at its longest k. Ranks go by `rank`, or by `score` from high to low, as in
    `evaluate`.
    """
    key = str(report.policy["key"])
    missing = [name for name in (key, ITEM) if name not in recommendations]
    if missing or not {RANK, SCORE} & set(recommendations.columns):
        raise DataError(
            f"recommendations must have {key!r}, 'item_id' and 'rank' or 'score', as they were judged; they have "
            f"{listed(map(str, recommendations.columns))}."
        )
    rows = recommendations[recommendations[key].isin(report.per_request[key])]
    if RANK in rows:
        rows = rows.sort_values([key, RANK], kind="stable")
    else:
        rows = rows[rows[SCORE].notna()].sort_values([key, SCORE], ascending=[True, False], kind="stable")
    ranks = rows.groupby(key, sort=False).cumcount() + 1
    longest = max((int(k) for k in str(report.policy["k"]).split(",")), default=0)
    rows = rows.assign(rank=ranks, item_id=rows[ITEM].astype(str))[ranks <= longest]
    return rows[[name for name in dict.fromkeys((key, USER, ITEM, RANK, SCORE)) if name in rows]].reset_index(drop=True)


def files(report: Report, prefix: str, judged: pd.DataFrame | None, hash_ids: bool) -> Iterator[tuple[str, object]]:
    """Paths with what they keep, one after another; figures and tables for the evaluation `test` only.

    `judged` are recommendations, or a scored slate with labels, of which only figures are kept.
    """
    yield f"{prefix}/policy.json", {**report.policy, "hashed_ids": hash_ids}
    yield f"{prefix}/per_request.parquet", hidden(report.per_request, hash_ids)
    labelled = judged is not None and LABEL in judged
    lists = None if judged is None or labelled else lists_of(report, judged)
    if lists is not None:
        yield f"{prefix}/recommendations.parquet", hidden(lists, hash_ids)
    if prefix != SHOWN:
        return
    segments = metric_by_segment(report)
    if len(segments):
        yield "tables/metric_by_segment.json", segments
    metrics = [name for name in report.summary if name in report.per_request]
    metric = _HEADLINE if _HEADLINE in metrics else next(iter(metrics), None)
    cuts = report.segment_columns
    popularity = POPULARITY if POPULARITY in cuts else TARGET_POPULARITY
    for column, path, across in (
        (HISTORY_LENGTH, "metric_by_history_length", "history length"),
        (popularity, "metric_by_popularity", "popularity of the target"),
    ):
        if column in cuts and metric is not None:
            yield f"figures/{path}.png", figures.metric_by_segment(report, column, metric, across)
    scored = judged if labelled else lists
    if scored is not None and SCORE in scored and (figure := figures.score_distribution(scored)) is not None:
        yield "figures/score_distribution.png", figure
    if labelled and judged is not None and PROBABILITY in judged:
        figure = figures.calibration(judged[LABEL], judged[PROBABILITY], judged.get(WEIGHT))
        if figure is not None:
            yield "figures/calibration.png", figure


def metric_by_segment(report: Report) -> pd.DataFrame:
    """One row a group of each segment column: `segment` (`history_length 5-9`), `requests`, metrics."""
    tables = [report.by_segment(name) for name in report.segment_columns]
    named = [
        table.assign(segment=name + " " + table["segment"].astype(str))
        for name, table in zip(report.segment_columns, tables, strict=True)
    ]
    return pd.concat(named, ignore_index=True) if named else pd.DataFrame()
