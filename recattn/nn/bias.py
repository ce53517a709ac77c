"""Additive attention biases from order and time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIME_BUCKETS = 32


def time_bucket(seconds: Tensor) -> Tensor:
    """floor(log2(1 + seconds)) in 0..31, int64; negative spans count as 0."""
    return torch.log2(1.0 + seconds.clamp(min=0).double()).floor().long().clamp(max=TIME_BUCKETS - 1)


class TimeBias(nn.Module):
    """A learned bias for each pair of interactions, by the time between them (cf. HSTU, arXiv 2402.17152).

    Args:
        num_heads: H.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.time = nn.Parameter(torch.zeros(TIME_BUCKETS, num_heads))

    def forward(self, times_BT: Tensor) -> Tensor:
        """Bias [B, H, T, T] of the pair (later, earlier); above the diagonal its value means nothing."""
        spans = time_bucket(times_BT[:, :, None] - times_BT[:, None, :])
        return nn.functional.embedding(spans, self.time).permute(0, 3, 1, 2)


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

    def apart(
        self, length: int, ends_BP: Tensor, times_BT: Tensor | None, query_times_BP: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The bias as gains [B, H, T] of interactions and shifts [B, H, P] of a null pair, which has no age.

        The bias of interaction i at position p is g(i) + f(p). A softmax over interactions and a null pair stays the
        same when f(p) is taken off all of them, so that interactions have g(i) and the null pair has -f(p).

        Args:
            length: T.
            ends_BP: How many interactions position p sees.
            times_BT: Times of interactions in units of time, from a moment all of a window share, float32.
            query_times_BP: What ages count from, likewise.
        """
        places = torch.arange(length, device=ends_BP.device) - float(length)
        gains = (self.order_slope[:, None] * places).expand(len(ends_BP), -1, -1)
        shifts = self.order_slope[:, None] * ((ends_BP - 1).clamp(min=0) - float(length))[:, None]
        if self.time_slope is not None and times_BT is not None and query_times_BP is not None:
            gains = gains + self.time_slope[:, None] * times_BT[:, None]
            shifts = shifts + self.time_slope[:, None] * query_times_BP[:, None]
        return gains, shifts
