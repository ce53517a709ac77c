"""Additive attention biases from order and time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIME_BUCKETS = 32


def time_bucket(seconds: Tensor) -> Tensor:
    """floor(log2(1 + seconds)) in 0..31, int64; negative spans count as 0."""
    return torch.log2(1.0 + seconds.clamp(min=0).double()).floor().long().clamp(max=TIME_BUCKETS - 1)


class RelativeBias(nn.Module):
    """A learned bias for each pair of interactions, by distance in order and in time (cf. HSTU, arXiv 2402.17152).

    Args:
        num_heads: H.
        max_history: Distances from here on share a bias.
        timed: Whether spans of time are known.
    """

    def __init__(self, num_heads: int, max_history: int, *, timed: bool) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(num_heads, max_history))
        self.time = nn.Parameter(torch.zeros(TIME_BUCKETS, num_heads)) if timed else None

    def forward(self, length: int, times_BT: Tensor | None) -> Tensor:
        """Bias [1 or B, H, T, T] of the pair (later, earlier); above the diagonal its value means nothing."""
        places = torch.arange(length, device=self.position.device)
        distances = (places[:, None] - places).clamp(0, self.position.shape[1] - 1)
        bias = self.position[:, distances].unsqueeze(0)
        if self.time is None or times_BT is None:
            return bias
        spans = time_bucket(times_BT[:, :, None] - times_BT[:, None, :])
        return bias + self.time[spans].permute(0, 3, 1, 2)


class RecencyBias(nn.Module):
    """g(i) = -a_h (interactions since i) - b_h (time since i), of the form f(t) + g(i).

    The slopes are learned; a starts geometrically from 1/4 down to 1/256 over the heads (ALiBi, arXiv 2108.12409),
    b at zero.

    Args:
        num_heads: H.
        timed: Whether spans of time are known.
    """

    time_scale: Tensor

    def __init__(self, num_heads: int, *, timed: bool) -> None:
        super().__init__()
        self.order_slope = nn.Parameter(torch.logspace(-2, -8, num_heads, base=2))
        self.time_slope = nn.Parameter(torch.zeros(num_heads)) if timed else None

    def forward(self, ages_RT: Tensor, time_ages_RT: Tensor | None) -> Tensor:
        """Bias [R, H, T] from ages in interactions and in units of time, both float32 [R, T]."""
        bias = -self.order_slope[:, None] * ages_RT[:, None, :]
        if self.time_slope is not None and time_ages_RT is not None:
            bias = bias - self.time_slope[:, None] * time_ages_RT[:, None, :]
        return bias
