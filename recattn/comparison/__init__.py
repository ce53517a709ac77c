"""Recommenders set beside each other: which is better, for whom, at what cost, and whether they can be compared."""

from recattn.comparison.compare import compare
from recattn.comparison.contender import Contender
from recattn.comparison.result import ComparisonResult

__all__ = ["ComparisonResult", "Contender", "compare"]
