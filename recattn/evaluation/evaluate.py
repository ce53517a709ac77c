"""Judging recommendations by held-out interactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import pandas as pd

from recattn.errors import ConfigError, DataError, listed
from recattn.evaluation.catalog_metrics import CatalogMetric
from recattn.evaluation.digest import ids_digest
from recattn.evaluation.doors import checked_truth, judged_rows, ranked_rows, request_key
from recattn.evaluation.list_metrics import ListMetric
from recattn.evaluation.matching import Matches, match
from recattn.evaluation.metrics import RequestMetric
from recattn.evaluation.report import Report
from recattn.evaluation.segments import joined
from recattn.evaluation.truth_times import truth_times
from recattn.schema.columns import ITEM, REQUEST, USER

Metric = RequestMetric | ListMetric | CatalogMetric


def evaluate(
    recommendations: pd.DataFrame,
    truth: pd.DataFrame,
    metrics: Metric | Sequence[Metric],
    *,
    seen: Literal["keep", "drop"] = "keep",
    catalog: Iterable[object] | None = None,
    catalog_size: int | None = None,
    segments: pd.DataFrame | None = None,
    policy: Mapping[str, str | int] | None = None,
) -> Report:
    """Measure how well `recommendations` (anybody's) name the items of `truth`.

    Args:
        recommendations: `user_id` or `request_id`, `item_id`, and `rank` or `score`. Lists are cut at each
            metric's k by `rank` (gaps close up), or by `score` from high to low with equal scores in row
            order; rows whose score is NaN then count as not recommended.
        truth: `user_id` or `request_id`, `item_id`, optionally `seen` (bool) and `timestamp` (whose first and last
            are noted in `Report.policy`). Every request of the truth counts: one without recommendations is a miss.
            Duplicate rows count once.
        metrics: Such as `[NDCG(10), Recall(20), Coverage(10), Novelty(10, popularity=counts)]`.
        seen: `drop` leaves out truth rows whose `seen` is true (for models told to filter seen items) and
            requests left without truth. `keep` judges all rows.
        catalog: Ids of the items that could be recommended; Coverage and Gini need them or `catalog_size`. With ids,
            only those count.
        catalog_size: Their number.
        segments: One row a request: the key, and columns to cut the report by, such as `split.segments("test")`.
            Requests that it lacks get NA.
        policy: Rules of your own to note in `Report.policy`, such as `{"ties": "exclude"}`.

    Returns:
        A Report. Frames meet by `request_id` where both have it, else by `user_id`. Requests that are not in
        the truth are ignored; `Report.policy` says how many. The frames given are not changed.

    Raises:
        DataError: A column is missing, ids are null or of different kinds, the truth is empty, an item or a
            rank is twice in one list, a request has two users or two rows in `segments`, or no request of the
            recommendations is in the truth.
        ConfigError: No metric, a metric twice, something that is no metric, an unknown `seen`, or a segment with
            the name of a metric.

    Example:
        >>> from recattn.evaluation import MRR, Recall
        >>> truth = pd.DataFrame({"user_id": ["u", "v"], "item_id": [1, 2]})
        >>> recommendations = pd.DataFrame({"user_id": ["u", "u"], "item_id": [3, 1], "rank": [1, 2]})
        >>> evaluate(recommendations, truth, [Recall(2), MRR(2)]).summary
        {'recall_at_2': 0.5, 'mrr_at_2': 0.25}
    """
    chosen = _check_metrics(metrics)
    key = request_key(recommendations, truth)
    once = checked_truth(truth, key)
    judged = judged_rows(once, seen)
    ranked, ignored = ranked_rows(recommendations, once, judged[key], key)
    items = _catalog_items(catalog, catalog_size, chosen)
    requests = pd.Index(judged[key].unique())
    matches = match(ranked, judged, key, requests, k=max(metric.k for metric in chosen))

    users = [USER] if USER in judged.columns and key == REQUEST else []
    per_request = judged.drop_duplicates(key)[[key, *users]].reset_index(drop=True)
    summary: dict[str, float] = {}
    for metric in chosen:
        if isinstance(metric, CatalogMetric):
            summary[metric.name] = _of_catalog(metric, matches, items, catalog_size)
            continue
        if isinstance(metric, ListMetric):
            per_request[metric.name] = metric.per_list(matches)
        else:
            per_request[metric.name] = metric.per_request(matches.hits, matches.truth_counts)
        summary[metric.name] = float(per_request[metric.name].mean())

    rules: dict[str, str | int] = {
        "key": key,
        "seen": seen,
        "k": ",".join(str(k) for k in sorted({int(metric.k) for metric in chosen})),
        "truth_sha256": ids_digest(judged[key], judged[ITEM]),
        "users_sha256": ids_digest(judged[USER if users else key].drop_duplicates()),
    }
    if items is not None:
        rules["catalog_sha256"] = ids_digest(items.to_series())
    if items is not None or catalog_size is not None:
        rules["catalog_size"] = len(items) if items is not None else int(catalog_size or 0)
    if segments is not None:
        per_request, names = joined(per_request, key, segments)
        rules["segments"] = ",".join(names)
    rules |= {
        **truth_times(judged),
        "requests": len(requests),
        "truth_rows": len(judged),
        "duplicate_truth_rows": len(truth) - len(once),
        "seen_truth_rows_dropped": len(once) - len(judged),
        "requests_dropped": once[key].nunique() - len(requests),
        "requests_without_recommendations": int((matches.list_lengths == 0).sum()),
        **ignored,
        "longest_list": int(matches.list_lengths.max(initial=0)),
    }
    return Report(summary, per_request, with_own(rules, policy))


def _check_metrics(metrics: Metric | Sequence[Metric]) -> list[Metric]:
    chosen = list(metrics) if isinstance(metrics, Sequence) else [metrics]
    if not chosen:
        raise ConfigError("evaluate got no metric. Pass some, for instance metrics=[NDCG(10), Recall(20)].")
    for metric in chosen:
        if isinstance(metric, type) or not isinstance(metric, Metric):
            raise ConfigError(f"{metric!r} is no metric. Pass objects with a k, for instance NDCG(10).")
    names = [metric.name for metric in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"metrics has {', '.join(twice)} more than once.")
    return chosen


def _catalog_items(
    catalog: Iterable[object] | None, catalog_size: int | None, metrics: Sequence[Metric]
) -> pd.Index | None:
    """The distinct ids of `catalog`, or None where only its size is known or nothing."""
    if catalog is not None:
        items = pd.Index(pd.Series(list(catalog)).unique())
        if len(items) == 0:
            raise DataError("catalog is empty. Pass the ids of all items that could be recommended.")
        if catalog_size is not None and catalog_size != len(items):
            raise ConfigError(f"catalog has {len(items)} items, but catalog_size is {catalog_size}. Pass one of them.")
        return items
    if catalog_size is not None and catalog_size < 1:
        raise ConfigError(f"catalog_size must be at least 1, got {catalog_size!r}.")
    if catalog_size is None and (needy := [m for m in metrics if isinstance(m, CatalogMetric)]):
        needs = type(needy[0]).__name__
        raise ConfigError(f"{needs} needs the catalog: pass catalog=item ids, or catalog_size=their number.")
    return None


def _of_catalog(metric: CatalogMetric, matches: Matches, items: pd.Index | None, catalog_size: int | None) -> float:
    if items is None:
        return metric.of_catalog(matches.items, matches.positions, int(catalog_size or 0))
    codes = items.get_indexer(matches.item_ids)
    if len(codes) and (codes < 0).all():
        raise DataError(
            f"catalog has none of the {len(codes)} items recommended: it is like {listed(items[:3])}, "
            f"they are like {listed(matches.item_ids[:3])}. Pass ids of the same kind."
        )
    return metric.of_catalog(codes[matches.items], matches.positions, len(items))


def with_own(rules: dict[str, str | int], own: Mapping[str, str | int] | None) -> dict[str, str | int]:
    """`rules` with those of the caller; ConfigError where one of these is there already."""
    for name in own or {}:
        if name in rules:
            raise ConfigError(f"policy may not set {name!r}: evaluate fills it in. Choose another name.")
    return {**rules, **(own or {})}
