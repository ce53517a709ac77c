"""The one builder of batches, for fit, validation and serving alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recattn.batching.batch import FeatureBatch, HistoryBatch, RequestBatch, TruthBatch, WindowBatch
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.features import FeatureArrays, FittedFeatures
from recattn.dataset.history import HistoryStore
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.requests import Requests, gather_ranges, search_sorted
from recattn.dataset.tables import UserTable
from recattn.dataset.transitions import recency_weights
from recattn.dataset.windows import Windows


@dataclass(frozen=True, eq=False)
class Assembler:
    """Turns rows of carriers over one store into batches."""

    store: HistoryStore
    config: ModelConfig
    users: UserTable | None = None
    context: FittedFeatures | None = None

    def requests(self, requests: Requests, *, with_candidates: bool = True) -> RequestBatch:
        """All of `requests` as one batch; each sees its `max_history` most recent visible interactions."""
        starts = np.maximum(requests.starts, requests.stops - self.config.max_history)
        history = self._history(starts, requests.stops)
        candidates = mask = None
        if with_candidates and requests.offsets is not None and requests.candidates is not None:
            codes, real = _pad(requests.candidates, requests.offsets[:-1], requests.offsets[1:])
            candidates = torch.from_numpy(np.where(real, np.maximum(codes, 0), 0).astype(np.int64))
            mask = torch.from_numpy(real & (codes > 0))
        return RequestBatch(
            history=history,
            query_times=self._query_times(starts, requests.stops, requests.as_of),
            candidates=candidates,
            candidate_mask=mask,
            user=self._user_features(requests.user_ids),
            context=self._context(requests),
        )

    def windows(
        self,
        windows: Windows,
        rows: np.ndarray,
        train: TrainConfig,
        sampler: NegativeSampler,
        rng: np.random.Generator,
    ) -> WindowBatch:
        """The windows at `rows` (int [B]) as one batch; negatives and head positions are drawn from `rng`."""
        starts, stops, loss_from = windows.starts[rows], windows.stops[rows], windows.loss_from[rows]
        inputs = self._history(starts, np.maximum(stops - 1, starts))
        flat, offsets = gather_ranges(starts, stops)
        firsts = np.repeat(starts, stops - starts)
        if windows.ties == "exclude" and self.store.times is not None:
            ends = search_sorted(self.store.times, firsts, flat, self.store.times[flat]) - firsts
        else:
            ends = flat - firsts
        in_loss = flat >= np.repeat(loss_from, stops - starts)
        targets, real = _pad(np.where(in_loss, self.store.items[flat], 0), offsets[:-1], offsets[1:])
        prefix_ends, _ = _pad(ends, offsets[:-1], offsets[1:])
        query_times = None
        if self.store.times is not None:
            given = self.store.times[flat] if self.config.request_time == "given" else None
            seconds = self._query_times(firsts, firsts + ends, given)
            assert seconds is not None
            query_times = torch.from_numpy(_pad(seconds.numpy(), offsets[:-1], offsets[1:])[0])
        weights = None
        if train.half_life is not None and self.store.times is not None:
            weights = torch.from_numpy(_pad(self._recency(train.half_life)[flat], offsets[:-1], offsets[1:])[0])
        head_rows, head_positions = _sample_positions(np.where(real, targets, 0), train.head_positions, rng)
        negatives, log_counts = sampler.sample(train.num_negatives, rng)
        return WindowBatch(
            history=inputs,
            targets=torch.from_numpy(np.where(real, targets, 0).astype(np.int64)),
            prefix_ends=torch.from_numpy(prefix_ends.astype(np.int64)),
            query_times=query_times,
            target_weights=weights,
            head_rows=torch.from_numpy(head_rows),
            head_positions=torch.from_numpy(head_positions),
            candidates=torch.from_numpy(negatives.astype(np.int64)),
            candidate_log_counts=torch.from_numpy(log_counts.astype(np.float32)),
            user=self._user_features(self.store.users[windows.users[rows]]),
            context=self._window_context(flat, offsets, targets.shape),
        )

    def _recency(self, half_life: float) -> np.ndarray:
        """Weights of all interactions as targets, float32 [R], of mean 1; computed once a half-life."""
        if half_life not in self._recencies:
            assert self.store.times is not None
            weights = recency_weights(self.store.times, half_life)
            self._recencies[half_life] = weights / weights.mean()
        return self._recencies[half_life]

    @cached_property
    def _recencies(self) -> dict[float, np.ndarray]:
        return {}

    def truths(self, requests: Requests, truth: np.ndarray, offsets: np.ndarray, *, exclude_seen: bool) -> TruthBatch:
        """Requests, what they have seen, and their answers `truth[offsets[x]:offsets[x + 1]]` (codes)."""
        codes, real = _pad(truth, offsets[:-1], offsets[1:])
        seen = self.seen(requests) if exclude_seen else torch.zeros(len(requests), 0, dtype=torch.int64)
        return TruthBatch(
            requests=self.requests(requests, with_candidates=False),
            seen=seen,
            truth=torch.from_numpy(np.where(real, codes, 0).astype(np.int64)),
        )

    def seen(self, requests: Requests) -> Tensor:
        """All items in each request's visible history, however long, int64 [X, longest], padded with 0."""
        codes, real = _pad(self.store.items, requests.starts, requests.stops)
        return torch.from_numpy(np.where(real, codes, 0).astype(np.int64))

    def _history(self, starts: np.ndarray, stops: np.ndarray) -> HistoryBatch:
        store, config = self.store, self.config

        def padded(values: np.ndarray, fill: float, dtype: type) -> Tensor:
            cells, real = _pad(values, starts, stops, at_least=1)
            return torch.from_numpy(np.where(real, cells, fill).astype(dtype))

        behaviours = store.behaviours if config.use_events else None
        weights = store.weights if config.use_weights else None
        return HistoryBatch(
            items=padded(store.items, 0, np.int64),
            mask=torch.from_numpy(_pad(store.items, starts, stops, at_least=1)[1]),
            times=None if store.times is None else padded(store.times, 0, np.int64),
            behaviours=None if behaviours is None else padded(behaviours, 0, np.int64),
            weights=None if weights is None else padded(weights, np.nan, np.float32),
        )

    def _query_times(self, starts: np.ndarray, stops: np.ndarray, given: np.ndarray | None) -> Tensor | None:
        """What ages count from: the request's moment, or, where that is hidden, the last event seen; int64."""
        times = self.store.times
        if times is None:
            return None
        if self.config.request_time == "given" and given is not None:
            return torch.from_numpy(np.array(given, dtype=np.int64))
        if not len(times):
            return torch.zeros(len(starts), dtype=torch.int64)
        return torch.from_numpy(np.where(stops > starts, times[np.maximum(stops - 1, 0)], 0).astype(np.int64))

    def _user_features(self, user_ids: np.ndarray) -> FeatureBatch | None:
        if self.users is None:
            return None
        return as_tensors(self.users.features.take(self.users.rows(user_ids)))

    def _context(self, requests: Requests) -> FeatureBatch | None:
        if self.context is None:
            return None
        if requests.context is None or not self.context.any_in(requests.context):
            return as_tensors(self.context.missing(len(requests)))
        return as_tensors(self.context.transform(requests.context))

    def _window_context(self, flat: np.ndarray, offsets: np.ndarray, shape: tuple[int, ...]) -> FeatureBatch | None:
        if self.context is None:
            return None
        frame = pd.DataFrame({name: values[flat] for name, values in self.store.extras.items()})
        rows, real = _pad(np.arange(len(flat)), offsets[:-1], offsets[1:])
        return as_tensors(self.context.transform(frame).take(np.where(real, rows, -1).reshape(shape[0] * shape[1])))


def as_tensors(features: FeatureArrays) -> FeatureBatch:
    """Feature arrays of n rows as tensors."""
    return FeatureBatch(
        categorical=torch.from_numpy(features.categorical.astype(np.int64)),
        multi_values=tuple(torch.from_numpy(values.astype(np.int64)) for values, _ in features.multi),
        multi_offsets=tuple(torch.from_numpy(offsets.astype(np.int64)) for _, offsets in features.multi),
        numeric=torch.from_numpy(features.numeric.astype(np.float32)),
    )


def _pad(
    values: np.ndarray, starts: np.ndarray, stops: np.ndarray, *, at_least: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The slices `values[starts[x]:stops[x]]` as a right-padded [X, longest] array, with its mask of real cells."""
    width = max(int((stops - starts).max(initial=0)), at_least)
    cells = starts[:, None] + np.arange(width)
    real = cells < stops[:, None]
    if not len(values):
        return np.zeros(cells.shape, values.dtype), np.zeros(cells.shape, bool)
    return values[np.minimum(cells, len(values) - 1)], real


def _sample_positions(targets: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` positions with a target from each row of `targets` [B, P], without repeats: rows, positions."""
    keys = np.where(targets > 0, rng.random(targets.shape), -1.0)
    count = min(count, targets.shape[1])
    chosen = np.sort(np.argpartition(-keys, count - 1, axis=1)[:, :count], axis=1)
    kept = np.take_along_axis(keys, chosen, axis=1) >= 0
    rows = np.repeat(np.arange(len(targets)), count).reshape(chosen.shape)
    return rows[kept], chosen[kept]
