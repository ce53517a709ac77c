"""The pictures of a run, at the same paths in every run."""

from __future__ import annotations

from recattn.tracking.figures.attention import attention_age
from recattn.tracking.figures.curve import learning_curve
from recattn.tracking.figures.scores import calibration, score_distribution
from recattn.tracking.figures.segments import metric_by_segment

__all__ = ["attention_age", "calibration", "learning_curve", "metric_by_segment", "score_distribution"]
