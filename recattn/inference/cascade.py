"""From the catalog to the best k: everything by the cheap score, few by the dear one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recattn.batching.batch import RequestBatch
from recattn.config import Stage
from recattn.inference.top_k import top_k
from recattn.nn.scorer import Prefixes, Scorer


@dataclass(frozen=True)
class Cascade:
    """How many items each score passes on to the next.

    Attributes:
        threshold: Catalogs up to this size are scored whole with the most expensive score.
        retrieval: Items the retrieval score keeps.
        attention: Items the attention score keeps.
    """

    threshold: int = 10_000
    retrieval: int = 2_000
    attention: int = 500

    def used_for(self, catalog_size: int, stage: Stage) -> bool:
        """Whether a catalog of this size goes through the cascade."""
        return catalog_size > self.threshold and stage != "retrieval"

    def passes(self, stage: Stage) -> list[tuple[Stage, int]]:
        """The scores up to `stage` after retrieval, each with the items it is given; none that would drop nothing."""
        if stage == "deep" and self.attention < self.retrieval:
            return [("attention", self.retrieval), ("deep", self.attention)]
        return [(stage, self.retrieval)]


@dataclass(frozen=True, eq=False)
class CatalogView:
    """The items that may be recommended as the scorer takes them, computed once a model."""

    codes: Tensor  # int64 [S], ascending
    items: Tensor  # float32 [S, D], or [S, 2 D] where attention has embeddings of its own
    biases: Tensor  # float32 [S]

    @classmethod
    def of(cls, scorer: Scorer, codes: Tensor) -> CatalogView:
        """The view of these item codes."""
        return cls(codes, scorer.candidates(codes), scorer.items.biases(codes))


def by_pairs(scorer: Scorer, stage: Stage) -> bool:
    """Whether the score sets every item against every event; else it is a product, with counted transitions at most."""
    return stage == "deep" or (stage == "attention" and scorer.attention is not None)


def rank_catalog(
    scorer: Scorer,
    batch: RequestBatch,
    catalog: CatalogView,
    allowed: Tensor | None,
    k: int,
    *,
    stage: Stage,
    cascade: Cascade,
) -> tuple[Tensor, Tensor]:
    """Item codes int64 [R, k] and scores [R, k], best first; code 0 and -inf where fewer are allowed.

    Args:
        scorer: In eval mode.
        batch: R requests; their candidates are not looked at.
        catalog: S items.
        allowed: bool [R, S], or None where all are.
        k: How many.
        stage: The most expensive score to use; the scores returned are its.
        cascade: Whether and how much each score passes on.
    """
    prefixes = scorer.requests(batch, stage)
    staged = by_pairs(scorer, stage) and cascade.used_for(len(catalog.codes), stage)
    scores = catalog_scores(scorer, prefixes, catalog, allowed, "retrieval" if staged else stage)
    if not staged:
        return best_items(scores, catalog, k)
    scores = scorer.with_memory(scores, prefixes, catalog.codes)  # as cheap as the first score
    columns = None
    for name, keep in cascade.passes(stage):
        chosen, kept = top_k(scores, max(keep, k))
        columns = chosen if columns is None else columns.gather(1, chosen)
        scores = scorer.score(prefixes, catalog.items[columns], catalog.biases[columns], name)
        scores = scorer.with_memory(scores, prefixes, catalog.codes[columns])
        scores = scores.masked_fill(kept == -torch.inf, -torch.inf)
    assert columns is not None
    columns, by_code = columns.sort(dim=1)
    return best_items(scores.gather(1, by_code), catalog, k, columns)


def catalog_scores(
    scorer: Scorer, prefixes: Prefixes, catalog: CatalogView, allowed: Tensor | None, stage: Stage
) -> Tensor:
    """Scores [R, S] of the whole catalog; -inf where an item is not allowed."""
    scores = scorer.score(prefixes, catalog.items, catalog.biases, stage)
    if stage != "retrieval":
        scores = scorer.with_memory(scores, prefixes, catalog.codes)
    return scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)


def best_items(scores: Tensor, catalog: CatalogView, k: int, columns: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Codes [R, k] and scores [R, k] of the best, from scores [R, S], or [R, C] of the catalog's `columns` [R, C]."""
    best, values = top_k(scores, k)
    best = best if columns is None else columns.gather(1, best)
    return torch.where(values > -torch.inf, catalog.codes[best], 0), values
