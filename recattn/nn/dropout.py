"""Dropout that does not spend a quarter of a CPU's training time on random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes entries at a rate and scales the rest, while training.

    On the CPU one 64-bit random number serves eight entries, so the rate is a whole number of 256ths, which the scale
    takes into account; elsewhere this is `torch.nn.functional.dropout`.

    Args:
        rate: In [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.rate)
        dropped = min(max(round(self.rate * 256), 1), 255)
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = (draws.view(torch.uint8)[: x.numel()] >= dropped).view(x.shape)
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
