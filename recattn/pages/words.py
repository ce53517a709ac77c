"""How numbers and names are written on pages."""

from __future__ import annotations

_METRICS = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "auc": "AUC", "hit_rate": "Hit rate"}


def metric_title(metric: str) -> str:
    """`NDCG@10` for `ndcg_at_10`."""
    stem, _, k = metric.rpartition("_at_")
    name = stem or metric
    words = _METRICS.get(name, name.replace("_", " ").capitalize())
    return f"{words}@{k}" if stem else words


def percent(share: float) -> str:
    """`+2.1 %`, with a real minus; nothing for what is not a number."""
    return "" if share != share else f"{share:+.1%}".replace("-", "−")


def count_of(count: int, word: str) -> str:
    """`1 request`, `1,234 requests`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
