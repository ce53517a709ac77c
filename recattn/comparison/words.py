"""What people call a metric."""

from __future__ import annotations

_METRICS = {
    "ndcg": "NDCG",
    "mrr": "MRR",
    "map": "MAP",
    "auc": "AUC",
    "grouped_auc": "Grouped AUC",
    "grouped_auc_by_weight": "Grouped AUC by weight",
}


def metric_title(metric: str) -> str:
    """`NDCG@10` for `ndcg_at_10`."""
    stem, _, k = metric.rpartition("_at_")
    name = stem or metric
    words = _METRICS.get(name, name.replace("_", " ").capitalize())
    return f"{words}@{k}" if stem else words
