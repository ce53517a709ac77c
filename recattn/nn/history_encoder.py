"""From a history of items to states that each know their past."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recattn.batching.batch import HistoryBatch
from recattn.nn.attention import SelfAttention
from recattn.nn.bias import TIME_BUCKETS, TimeBias, time_bucket
from recattn.nn.dropout import Dropout


class FeedForward(nn.Sequential):
    """Linear, GELU, dropout, linear: [..., D] -> [..., D]."""

    def __init__(self, dim: int, *, factor: int = 4, dropout: float = 0.0) -> None:
        super().__init__(nn.Linear(dim, factor * dim), nn.GELU(), Dropout(dropout), nn.Linear(factor * dim, dim))


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual."""

    def __init__(self, dim: int, num_heads: int, *, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads)
        self.norm_feed_forward = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor, bias_BHTT: Tensor | None) -> Tensor:
        x_BTD = x_BTD + self.dropout(self.attention(self.norm_attention(x_BTD), mask_BT, bias_BHTT))
        return x_BTD + self.dropout(self.feed_forward(self.norm_feed_forward(x_BTD)))


class HistoryEncoder(nn.Module):
    """States h_i that see the interactions <= i (SASRec, arXiv 1808.09781, with rotary instead of absolute places).

    An input x_i is made of its item, behaviour, weight and the gap to interaction i - 1: of nothing that depends on
    the request, so that one x_i serves every prefix.

    Args:
        dim: D.
        num_heads: H.
        num_layers: Blocks; 0 returns the inputs, normalised.
        timed: Whether times are known.
        num_behaviours: Kinds of behaviour, without the code 0; 0 leaves them out.
        weighted: Whether interactions have weights.
        dropout: Rate on inputs, block outputs and within the feed-forward.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_layers: int,
        *,
        timed: bool,
        num_behaviours: int = 0,
        weighted: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.gap = nn.Embedding(1 + TIME_BUCKETS, dim) if timed else None
        self.behaviour = nn.Embedding(1 + num_behaviours, dim) if num_behaviours else None
        self.weight = nn.Linear(2, dim, bias=False) if weighted else None
        for table in (self.gap, self.behaviour, self.weight):
            if table is not None:
                nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(dim, num_heads, dropout=dropout) for _ in range(num_layers))
        self.biases = nn.ModuleList(TimeBias(num_heads) for _ in range(num_layers if timed else 0))
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(dim)
        self.scale = dim**0.5

    def forward(self, items_BTD: Tensor, history: HistoryBatch) -> Tensor:
        """States [B, T, D] from item embeddings [B, T, D] and the rest of the history."""
        x_BTD = items_BTD
        if self.gap is not None and history.times is not None:
            gaps = 1 + time_bucket(history.times.diff(dim=1))
            x_BTD = x_BTD + self.gap(torch.nn.functional.pad(gaps, (1, 0)))
        if self.behaviour is not None and history.behaviours is not None:
            x_BTD = x_BTD + self.behaviour(history.behaviours)
        if self.weight is not None and history.weights is not None:
            known = ~history.weights.isnan()
            x_BTD = x_BTD + self.weight(torch.stack([history.weights.nan_to_num(), known.float()], dim=-1))
        x_BTD = self.dropout(x_BTD * self.scale)
        for layer, block in enumerate(self.blocks):
            bias = self.biases[layer](history.times) if len(self.biases) and history.times is not None else None
            x_BTD = block(x_BTD, history.mask, bias)
        return self.norm(x_BTD)
