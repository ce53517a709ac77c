"""The weights of the transition memory, chosen on validation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from recattn.batching.batch import TruthBatch
from recattn.inference.cascade import CatalogView
from recattn.inference.predictor import not_seen
from recattn.nn.scorer import Scorer
from recattn.training.cascade_quality import take, whole_scores

GRID = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4)
K = 10
PAIRS = 1 << 27  # scores looked at, at most, for each pair of weights: fewer requests where the catalog is large
CELLS = 1 << 23  # scores alive at a time


@torch.inference_mode()
def choose_weights(scorer: Scorer, batches: Iterable[TruthBatch], requests: int) -> dict[str, float]:
    """Set the memory's weights to those of the grid with the highest NDCG@10 on validation.

    The learned scores stay as they are; of equal weights the smaller win. They are the model's most expensive ones of
    the whole catalog, computed a few requests at a time.

    Args:
        scorer: In eval mode, with a memory; changed.
        batches: Validation requests with their answers.
        requests: Their number.

    Returns:
        The weights by name.
    """
    memory = scorer.memory
    assert memory is not None
    codes = torch.nonzero(scorer.items.trainable).squeeze(1)
    catalog = CatalogView.of(scorer, codes)
    pairs = torch.cartesian_prod(*[torch.tensor(GRID, device=codes.device)] * len(memory.tables))
    gains = torch.zeros(len(pairs), dtype=torch.float64, device=codes.device)
    places = torch.full((scorer.items.num_codes,), -1, device=codes.device)
    places[codes] = torch.arange(len(codes), device=codes.device)
    step, asked = max(1, -(-requests * len(codes) // PAIRS)), 0
    for batch in batches:
        rows = torch.arange(-asked % step, len(batch.truth), step, device=codes.device)  # of all lengths alike
        asked += len(batch.truth)
        whole = scorer.requests(batch.requests, remember=False)
        for part in rows.split(max(1, CELLS // max(len(codes), 1))) if len(rows) else ():
            prefixes, truth = take(whole, part), batch.truth[part]
            scores = whole_scores(scorer, prefixes, catalog).float()
            if batch.seen.shape[1]:
                scores = scores.masked_fill(~not_seen(batch.seen[part], codes, scorer.items.num_codes), -torch.inf)
            view = prefixes.view
            found = memory.matches(batch.requests.history.items, view.rows, view.mask, view.ages)[:, :, codes]
            for place, pair in enumerate(pairs):
                gains[place] += _gain(scores + torch.tensordot(pair, found, dims=1), truth, places).sum()
    if gains.max() > 0:  # else the catalog knows nothing of the validation
        memory.weights.copy_(pairs[int(gains.argmax())])
    return {f"memory_weight_{place}": float(weight) for place, weight in enumerate(memory.weights)}


def _gain(scores_RS: Tensor, truth_RM: Tensor, places: Tensor) -> Tensor:
    """What each truth [R, M] adds to its request's NDCG@10, float64, by its rank; padding and misses add nothing."""
    columns = places[truth_RM.clamp(min=0)]
    known = (truth_RM > 0) & (columns >= 0)
    own = scores_RS.gather(1, columns.clamp(min=0))
    ranks = torch.stack([(scores_RS > one[:, None]).sum(dim=1) for one in own.T], dim=1)
    counted = known & (ranks < K) & (own > -torch.inf)
    discounts = 1 / torch.log2(torch.arange(2, K + 2, device=truth_RM.device, dtype=torch.float64))
    ideal = discounts.cumsum(0)[(truth_RM != 0).sum(dim=1).clamp(1, K) - 1]
    return torch.where(counted, discounts[ranks.clamp(max=K - 1)], 0.0) / ideal[:, None]
