"""How good recommendations are."""

from recattn.evaluation.digest import ids_digest
from recattn.evaluation.evaluate import evaluate
from recattn.evaluation.metrics import MRR, NDCG, Coverage, HitRate, Precision, Recall
from recattn.evaluation.report import Report
from recattn.evaluation.significance import Comparison, Interval, mean_interval, paired_bootstrap

__all__ = [
    "MRR",
    "NDCG",
    "Comparison",
    "Coverage",
    "HitRate",
    "Interval",
    "Precision",
    "Recall",
    "Report",
    "evaluate",
    "ids_digest",
    "mean_interval",
    "paired_bootstrap",
]
