"""The tensors of one step."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class FeatureBatch(NamedTuple):
    """Attributes of n rows (users, requests, items), coded as `recattn.dataset.features.FeatureArrays` says."""

    categorical: Tensor  # int64 [n, columns]
    multi_values: tuple[Tensor, ...]  # int64 [M] a column
    multi_offsets: tuple[Tensor, ...]  # int64 [n + 1] a column
    numeric: Tensor  # float32 [n, 2 * columns]


class HistoryBatch(NamedTuple):
    """B padded histories, oldest first, padding right."""

    items: Tensor  # int64 [B, T], 0 = padding
    mask: Tensor  # bool [B, T], True = real
    times: Tensor | None  # int64 [B, T] UTC seconds
    behaviours: Tensor | None  # int64 [B, T], 0 = none
    weights: Tensor | None  # float32 [B, T], NaN = none


class RequestBatch(NamedTuple):
    """B requests with their candidates."""

    history: HistoryBatch
    query_times: Tensor | None  # int64 [B]: what ages count from
    candidates: Tensor | None  # int64 [B, C] or [C]; None: the catalog
    candidate_mask: Tensor | None  # bool [B, C], True = real
    user: FeatureBatch | None  # B rows
    context: FeatureBatch | None  # B rows


class WindowBatch(NamedTuple):
    """B windows; position p of a window is a request that sees the first `prefix_ends[:, p]` interactions."""

    history: HistoryBatch
    targets: Tensor  # int64 [B, P], 0 = no loss here
    prefix_ends: Tensor  # int64 [B, P], in 0..T
    query_times: Tensor | None  # int64 [B, P]
    target_weights: Tensor | None  # float32 [B, P], mean 1 over all targets of train; None: all count alike
    head_rows: Tensor  # int64 [R] window of each position on which the deep score is trained
    head_positions: Tensor  # int64 [R]
    candidates: Tensor  # int64 [S] distinct negatives shared by the whole batch
    candidate_log_counts: Tensor  # float32 [S] log of the chance that each is among them
    user: FeatureBatch | None  # B rows
    context: FeatureBatch | None  # B * P rows


class TruthBatch(NamedTuple):
    """Requests with the answers a validation compares to."""

    requests: RequestBatch
    seen: Tensor  # int64 [B, N], items not to be recommended, 0 = padding
    truth: Tensor  # int64 [B, M], 0 = padding, -1 = outside the catalog: a miss
