"""From a scorer to scores."""

from recattn.inference.artifact import load_model, save_model
from recattn.inference.cascade import Cascade
from recattn.inference.model import Blueprint, FittedModel
from recattn.inference.predictor import Predictor

__all__ = ["Blueprint", "Cascade", "FittedModel", "Predictor", "load_model", "save_model"]
