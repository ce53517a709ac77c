"""Training with Lightning."""

from recattn.training.data_module import DataModule, Validation
from recattn.training.fit import FitResult, fit_scorer
from recattn.training.lit_scorer import LitScorer
from recattn.training.prepare import FitData, Specs, joined, prepare_fit

__all__ = [
    "DataModule",
    "FitData",
    "FitResult",
    "LitScorer",
    "Specs",
    "Validation",
    "fit_scorer",
    "joined",
    "prepare_fit",
]
