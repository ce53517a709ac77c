"""Scores for carriers, in bounded batches on one device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recattn.batching.assemble import Assembler
from recattn.batching.batch import RequestBatch
from recattn.config import Stage
from recattn.dataset.requests import Requests, gather_ranges
from recattn.dataset.tables import ItemTable
from recattn.errors import ConfigError
from recattn.inference.cascade import Cascade, CatalogView, by_pairs, rank_catalog
from recattn.inference.lending import lent
from recattn.inference.pieces import cut
from recattn.nn.scorer import Scorer

BUDGET = 48 * 2**20  # floats alive at a time
MOST = 512  # requests at a time


class Predictor:
    """Scores requests with a scorer in eval mode, which it gives back as it was.

    Args:
        scorer: The scorer.
        table: Its items.
        device: Where to score; None: where the scorer is.
        threads: Threads of torch on the CPU; None leaves them alone.
        cascade: When and how the catalog goes through the cascade.

    Raises:
        ConfigError: A device that is not there, or less than one thread.
    """

    def __init__(
        self,
        scorer: Scorer,
        table: ItemTable,
        *,
        device: str | torch.device | None = None,
        threads: int | None = None,
        cascade: Cascade | None = None,
    ) -> None:
        self.scorer, self.table, self.threads = scorer, table, threads
        self.device = scorer.start.device if device is None else known_device(device)
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise ConfigError(f"threads must be at least 1, got {threads!r}.")
        self.cascade = cascade or Cascade()

    def score(self, assembler: Assembler, requests: Requests, *, stage: Stage | None = None) -> np.ndarray:
        """Scores float32 [M] of `requests.candidates`, in their order; NaN for unknown items."""
        requests, _ = cut(requests, np.full(len(requests), max(1, BUDGET // (8 * self.scorer.config.dim))))
        assert requests.offsets is not None
        assert requests.candidates is not None
        scores = np.full(len(requests.candidates), np.nan, dtype=np.float32)
        counts = np.diff(requests.offsets)
        with self.ready():
            for rows in self._chunks(requests.lengths, counts):
                part = requests.take(rows)
                batch = to_device(assembler.requests(part), self.device)
                values = self.scorer(batch, stage).float().cpu().numpy()
                cells, _ = gather_ranges(requests.offsets[rows], requests.offsets[rows + 1])
                real = np.arange(values.shape[1]) < counts[rows][:, None]
                scores[cells] = values[real]
        return np.where(requests.candidates > 0, scores, np.nan).astype(np.float32)

    def top_k(
        self,
        assembler: Assembler,
        requests: Requests,
        k: int,
        *,
        exclude_seen: bool = True,
        candidates: np.ndarray | None = None,
        stage: Stage | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes int64 [X, k'] and scores float32 [X, k'], best first; code 0 where a request may be given fewer.

        k' is `k`, or the number of items to choose from where that is less.

        Args:
            assembler: Over the store of the requests.
            requests: X requests.
            k: How many.
            exclude_seen: Whether items anywhere in the visible history are left out.
            candidates: Codes to choose from; None: all that may be recommended.
            stage: The most expensive score to use.
        """
        stage = stage or self.scorer.config.score
        allowed = self.table.recommendable.copy()
        if candidates is not None:
            allowed &= np.isin(np.arange(len(allowed)), candidates)
        k = min(k, int(allowed.sum()))
        codes = np.zeros((len(requests), k), dtype=np.int64)
        scores = np.full((len(requests), k), -np.inf, dtype=np.float32)
        with self.ready():
            catalog = CatalogView.of(self.scorer, torch.from_numpy(np.flatnonzero(allowed)).to(self.device))
            width = self.width(len(catalog.codes), stage)
            for rows in self._chunks(requests.lengths, np.full(len(requests), max(width, k))):
                part = requests.take(rows)
                batch = to_device(assembler.requests(part, with_candidates=False), self.device)
                open_ = self.allowed(assembler, part, catalog, exclude_seen=exclude_seen)
                best, values = rank_catalog(self.scorer, batch, catalog, open_, k, stage=stage, cascade=self.cascade)
                codes[rows, : best.shape[1]] = best.cpu().numpy()
                scores[rows, : best.shape[1]] = values.float().cpu().numpy()
        return codes, scores

    def width(self, catalog_size: int, stage: Stage) -> int:
        """Candidates that the most expensive score sees a request."""
        if not by_pairs(self.scorer, stage):
            return max(1, catalog_size // self.scorer.config.dim)
        return self.cascade.retrieval if self.cascade.used_for(catalog_size, stage) else catalog_size

    def allowed(
        self, assembler: Assembler, requests: Requests, catalog: CatalogView, *, exclude_seen: bool
    ) -> Tensor | None:
        """bool [R, S]: what is available at the request's moment, and not seen where that is asked for."""
        open_ = None
        if self.table.available_from is not None and requests.as_of is not None:
            since = torch.from_numpy(self.table.available_from).to(self.device)[catalog.codes]
            open_ = since <= torch.from_numpy(np.asarray(requests.as_of)).to(self.device)[:, None]
        if exclude_seen:
            unseen = not_seen(assembler.seen(requests).to(self.device), catalog.codes, len(self.table))
            open_ = unseen if open_ is None else open_ & unseen
        return open_

    def _chunks(self, lengths: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
        """Rows of requests of similar size, as many at a time as the budget holds."""
        config = self.scorer.config
        lengths = np.minimum(lengths, config.max_history)
        history = lengths * (16 * config.dim + 2 * config.num_heads * lengths)
        remembered = 0 if self.scorer.memory is None else 6 * len(self.table)
        floats = np.maximum(8 * config.dim * counts + history + remembered, 1)
        order = np.argsort(floats, kind="stable")
        start = 0
        while start < len(order):
            largest = floats[order[min(start + MOST, len(order)) - 1]]
            stop = start + int(np.clip(BUDGET // largest, 1, MOST))
            yield order[start:stop]
            start = stop

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """The scorer in eval mode on the device, torch with its threads; from many threads at once too."""
        with lent(self.scorer, self.device, self.threads), torch.inference_mode():
            yield


def known_device(device: str | torch.device) -> torch.device:
    """The device; ConfigError where torch does not know it, or sees none here."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device must be one that torch knows, such as 'cpu' or 'cuda', got {device!r}.") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={str(found)!r} is asked for, but torch sees no CUDA device here. Use device='cpu'.")
    return found


def not_seen(seen: Tensor, codes: Tensor, size: int) -> Tensor:
    """bool [R, S]: False where `codes` [S] is among the row of `seen` (int64 [R, N], 0 = padding)."""
    mask = torch.ones(len(seen), size, dtype=torch.bool, device=seen.device)
    mask.scatter_(1, seen, False)
    return mask.index_select(1, codes)


def to_device(batch: RequestBatch, device: torch.device) -> RequestBatch:
    """The batch with every tensor on `device`."""

    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        if isinstance(value, tuple):
            parts = [moved(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        return value

    return moved(batch)
