"""recattn: multi-head target attention over interaction histories, for pandas, Lightning and MLflow."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "recattn.config": ("Categorical", "ModelConfig", "Multi", "Numeric", "TrainConfig"),
    "recattn.schema": ("read_interactions", "read_items", "read_slate", "read_users"),
    "recattn.dataset": (
        "HistoryStore",
        "Split",
        "Vocabulary",
        "clean",
        "leave_last_out",
        "split_by_time",
    ),
    "recattn.baselines": ("ItemKNN", "Popularity", "Recency", "Transition"),
    "recattn.evaluation": (
        "MAP",
        "MRR",
        "NDCG",
        "AveragePopularity",
        "Coverage",
        "Gini",
        "HitRate",
        "IntraListDiversity",
        "Novelty",
        "Precision",
        "Recall",
        "Report",
        "evaluate",
        "evaluate_labelled",
        "paired_bootstrap",
        "seeded_bootstrap",
    ),
    "recattn.comparison": ("ComparisonResult", "Contender", "compare"),
    "recattn.training": ("DataModule", "LitScorer"),
    "recattn.recommender": ("Recommender",),
    "recattn.candidates": (
        "Allow",
        "Availability",
        "CandidateGenerator",
        "Cap",
        "Deny",
        "FromFrame",
        "ItemVectors",
        "Mmr",
        "Neighbors",
        "Popular",
        "Retrieval",
        "Seen",
        "TwoStage",
        "Union",
        "cap",
        "mmr",
        "two_stage",
    ),
    "recattn.tracking": ("track",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recattn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
