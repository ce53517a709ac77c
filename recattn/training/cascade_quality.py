"""What the cascade loses: truths that its first cut drops, and quality of the final list."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recattn.evaluation.metrics import ndcg, recall
from recattn.inference.cascade import CatalogView, best_items
from recattn.inference.top_k import top_k
from recattn.nn.attention import View
from recattn.nn.scorer import Prefixes, Scorer

KEPT = 500  # items that the first cut keeps: by the retrieval score and the transition memory
K = 20  # length of the list that is judged
REQUESTS = 500  # requests looked at in a validation, at most
PAIRS = 5_000_000  # and scores computed for it alone, at most: fewer requests where the catalog is large
CELLS = 2**18  # scores of candidates alive at a time


class CascadeSample:
    """Evenly spaced requests of one validation, the same at each: batches come by the length of histories.

    Args:
        requests: All requests of the validation.
        catalog_size: Items that can be recommended.
        scored: Whether the most expensive score of the whole catalog is there anyway.
    """

    def __init__(self, requests: int, catalog_size: int, *, scored: bool) -> None:
        most = REQUESTS if scored else min(REQUESTS, max(1, PAIRS // max(catalog_size, 1)))
        self.step = max(1, -(-requests // most))

    def rows(self, place: int, count: int) -> list[int]:
        """Rows to look at in a batch of `count` requests that has `place` requests before it."""
        return list(range(-place % self.step, count, self.step))

    def judge(
        self,
        place: int,
        scorer: Scorer,
        prefixes: Prefixes,
        catalog: CatalogView,
        allowed: Tensor | None,
        retrieval: Tensor,
        final: Tensor | None,
        truth: Tensor,
    ) -> dict[str, np.ndarray]:
        """`cascade_quality` of the chosen rows of a batch, maybe none.

        Args:
            place: Requests before the batch.
            scorer: The scorer.
            prefixes: The batch's R requests.
            catalog: S items.
            allowed: bool [R, S], or None.
            retrieval: The cheapest score [R, S], -inf where not allowed.
            final: The most expensive one; None: not computed yet.
            truth: int64 [R, M].
        """
        rows = torch.tensor(self.rows(place, len(truth)), dtype=torch.int64, device=truth.device)
        if final is None:
            final = whole_scores(scorer, take(prefixes, rows), catalog)
            final = final if allowed is None else final.masked_fill(~allowed[rows], -torch.inf)
        else:
            final = final[rows]
        return cascade_quality(retrieval[rows], final, truth[rows], catalog)


def cascade_quality(retrieval: Tensor, final: Tensor, truth: Tensor, catalog: CatalogView) -> dict[str, np.ndarray]:
    """float64 [R] by name, from scores [R, S] of the whole catalog, -inf where an item is not allowed.

    `retrieval_recall_at_500`: share of the truth among the best 500 of the cascade's first cut.
    `cascade_ndcg_at_20_loss`: NDCG@20 of the final score over the catalog minus that over those 500.

    Args:
        retrieval: The cheapest score.
        final: The most expensive score.
        truth: int64 [R, M] item codes, 0 = padding, -1 = outside the catalog: a miss.
        catalog: S items.
    """
    counts = (truth != 0).sum(dim=1).cpu().numpy()
    kept, _ = top_k(retrieval, KEPT)
    staged = torch.full_like(final, -torch.inf).scatter(1, kept, final.gather(1, kept))
    found, whole, best = (
        hits(best_items(scores, catalog, k)[0], truth) for scores, k in ((retrieval, KEPT), (final, K), (staged, K))
    )
    return {
        f"retrieval_recall_at_{KEPT}": recall(found, counts, KEPT),
        f"cascade_ndcg_at_{K}_loss": ndcg(whole, counts, K) - ndcg(best, counts, K),
    }


def hits(best: Tensor, truth: Tensor) -> np.ndarray:
    """bool [R, k]: which items of `best` (codes [R, k], 0 = none) are in `truth` (codes [R, M])."""
    return ((best[:, :, None] == truth[:, None]) & (best[:, :, None] > 0)).any(dim=2).cpu().numpy()


def whole_scores(scorer: Scorer, prefixes: Prefixes, catalog: CatalogView) -> Tensor:
    """The model's most expensive score of every item of the catalog [R, S], a few requests at a time."""
    step = max(1, CELLS // max(len(catalog.codes), 1))
    rows = torch.arange(len(prefixes.states_RD), device=prefixes.states_RD.device)
    parts = (take(prefixes, part) for part in rows.split(step))
    return torch.cat(
        [scorer.with_memory(scorer.score(part, catalog.items, catalog.biases), part, catalog.codes) for part in parts]
    )


def take(prefixes: Prefixes, rows: Tensor) -> Prefixes:
    """The requests at `rows`; the histories they share stay whole."""
    view = View(*(None if part is None else part[rows] for part in prefixes.view))  # type: ignore[arg-type]
    extra = None if prefixes.extra_RD is None else prefixes.extra_RD[rows]
    remembered = None if prefixes.remembered_RN is None else prefixes.remembered_RN[rows]
    return prefixes._replace(view=view, states_RD=prefixes.states_RD[rows], extra_RD=extra, remembered_RN=remembered)
