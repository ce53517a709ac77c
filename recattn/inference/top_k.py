"""The best k of many scores, the same way every time."""

from __future__ import annotations

import torch
from torch import Tensor


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Columns int64 [R, k'] and scores [R, k'] of the highest scores [R, S], best first; k' = min(k, S).

    Equal scores: the lower column first, also where the k-th score is shared by columns that do not fit.
    """
    k = min(k, scores.shape[1])
    values, columns = torch.topk(scores, k, dim=1)
    if k == 0:
        return columns, values
    shared = ((scores == values[:, -1:]).sum(dim=1) > (values == values[:, -1:]).sum(dim=1)) & values[:, -1].isfinite()
    if shared.any():
        exact = torch.argsort(scores[shared], dim=1, descending=True, stable=True)[:, :k]
        columns[shared] = exact
        values[shared] = scores[shared].gather(1, exact)
    by_column = torch.argsort(columns, dim=1, stable=True)
    columns, values = columns.gather(1, by_column), values.gather(1, by_column)
    by_score = torch.argsort(values, dim=1, descending=True, stable=True)
    return columns.gather(1, by_score), values.gather(1, by_score)
