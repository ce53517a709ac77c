"""How good recommendations are."""

from recattn.evaluation.digest import ids_digest
from recattn.evaluation.evaluate import evaluate
from recattn.evaluation.metrics import MRR, NDCG, Coverage, HitRate, Precision, Recall
from recattn.evaluation.report import Report
from recattn.evaluation.seeded import seeded_bootstrap, seeded_interval
from recattn.evaluation.significance import Comparison, Interval, holm, mean_interval, paired_bootstrap

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
    "holm",
    "ids_digest",
    "mean_interval",
    "paired_bootstrap",
    "seeded_bootstrap",
    "seeded_interval",
]
