"""Files of anybody, judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from recattn.cli.console import log
from recattn.cli.data import read_given, read_table
from recattn.cli.item_facts import categories_of, read_popularity
from recattn.cli.kinds import metrics as make_metrics
from recattn.cli.settings import Columns
from recattn.errors import ConfigError
from recattn.evaluation import Report, evaluate, evaluate_labelled
from recattn.evaluation.catalog_metrics import CatalogMetric
from recattn.evaluation.labelled import Group
from recattn.schema import require
from recattn.schema.columns import ITEM


def judge_lists(
    recommendations: str,
    truth: str,
    metrics: Sequence[str],
    ks: Sequence[int],
    columns: Columns,
    *,
    seen: Literal["keep", "drop"],
    items: str | None,
    catalog_size: int | None,
    popularity: str | None,
    diversity_column: str | None,
    segments: str | None,
) -> Report:
    """Metrics of the catalog are left out where there is none."""
    lists, held = read_table(recommendations, "recommendations", columns), read_table(truth, "truth", columns)
    item_frame = read_given(items, "items", columns)
    if item_frame is not None:
        require(item_frame, [ITEM], "items")
    chosen = make_metrics(
        metrics,
        ks,
        popularity=None if popularity is None else read_popularity(popularity, columns),
        features=None if diversity_column is None else _features(item_frame, diversity_column),
    )
    if item_frame is None and catalog_size is None:
        left = {metric.name.rpartition("_at_")[0] for metric in chosen if isinstance(metric, CatalogMetric)}
        chosen = [metric for metric in chosen if not isinstance(metric, CatalogMetric)]
        for name in sorted(left):
            log.info("%s is left out: it needs --items or --catalog_size", name)
    return evaluate(
        lists,
        held,
        chosen,
        seen=seen,
        catalog=None if item_frame is None else item_frame[ITEM],
        catalog_size=catalog_size,
        segments=read_given(segments, "segments", columns),
    )


def judge_labelled(scored: str, columns: Columns, *, group: Group | None, segments: str | None) -> Report:
    """Scores beside labels."""
    frame = read_table(scored, "labelled", columns)
    return evaluate_labelled(frame, group=group, segments=read_given(segments, "segments", columns))


def _features(items: pd.DataFrame | None, column: str) -> pd.Series:
    if items is None:
        raise ConfigError(f"--diversity_column {column} is a column of items: give --items FILE.")
    return categories_of(items, column)
