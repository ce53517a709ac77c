"""How good recommendations are."""

from recattn.evaluation.catalog_metrics import Coverage, Gini
from recattn.evaluation.digest import ids_digest
from recattn.evaluation.evaluate import evaluate
from recattn.evaluation.labelled import evaluate_labelled
from recattn.evaluation.list_metrics import AveragePopularity, IntraListDiversity, Novelty
from recattn.evaluation.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall
from recattn.evaluation.report import Report
from recattn.evaluation.seeded import seeded_bootstrap, seeded_interval
from recattn.evaluation.significance import Comparison, Interval, holm, mean_interval, paired_bootstrap

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "AveragePopularity",
    "Comparison",
    "Coverage",
    "Gini",
    "HitRate",
    "Interval",
    "IntraListDiversity",
    "Novelty",
    "Precision",
    "Recall",
    "Report",
    "evaluate",
    "evaluate_labelled",
    "holm",
    "ids_digest",
    "mean_interval",
    "paired_bootstrap",
    "seeded_bootstrap",
    "seeded_interval",
]
