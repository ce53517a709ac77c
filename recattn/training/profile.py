"""The profile of a training, saved with the model it made."""

from __future__ import annotations

import numpy as np

from recattn.dataset.profile import Profile, length_counts, score_counts
from recattn.inference.model import FittedModel
from recattn.inference.predictor import Predictor
from recattn.training.prepare import FitData

REQUESTS = 500  # of validation that are looked at, evenly spaced


def training_profile(data: FitData, model: FittedModel) -> Profile:
    """The histories of train; with validation the best scores of its requests by `model`, seen items left out."""
    store = data.assembler.store
    lengths = store.lengths[store.lengths > 0]
    end = store.end
    counts = (len(lengths), len(store), None if end is None else end - 1, tuple(length_counts(lengths).tolist()))
    validation = data.validation
    if validation is None:
        return Profile(*counts)
    step = -(-len(validation.requests) // REQUESTS)
    requests = validation.requests.take(np.arange(0, len(validation.requests), step))
    _, scores = Predictor(model.scorer, data.blueprint.table).top_k(validation.assembler, requests, 1)
    best = np.where(scores[:, 0] > -np.inf, scores[:, 0], np.nan)
    if np.isnan(best).all():
        return Profile(*counts)
    edges = np.nanquantile(best, np.linspace(0.1, 0.9, 9)).tolist()
    unknown = float(np.mean(validation.truth < 0))
    return Profile(*counts, tuple(edges), tuple(score_counts(best, edges).tolist()), unknown)
