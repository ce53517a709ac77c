"""Multi-head scaled dot-product attention, of a history over itself or of candidates over a history."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from recattn.nn.bias import RecencyBias
from recattn.nn.dropout import Dropout


class SelfAttention(nn.Module):
    """Causal attention of interactions over themselves: state i sees the real interactions <= i.

    Args:
        dim: D.
        num_heads: H.
        dropout: Rate on attention weights.
    """

    def __init__(self, dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, Dropout(dropout)
        self.project = nn.Linear(dim, 3 * dim, bias=False)
        self.join = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor, bias_BHTT: Tensor) -> Tensor:
        """Outputs [B, T, D]; at padded places they mean nothing."""
        length = x_BTD.shape[1]
        q_BHTK, k_BHTK, v_BHTK = (split_heads(x, self.num_heads) for x in self.project(x_BTD).chunk(3, dim=-1))
        future = torch.ones(length, length, dtype=torch.bool, device=x_BTD.device).triu(1)
        bias = bias_BHTT.masked_fill(future, -torch.inf)
        if has_holes(mask_BT):  # padding on the right is in the future of all that is real
            itself = torch.eye(length, dtype=torch.bool, device=x_BTD.device)
            bias = bias.masked_fill(~(mask_BT[:, None, None, :] | itself), -torch.inf)
        bias = bias.to(q_BHTK.dtype)
        if self.training:  # the fused kernels have no gradient for a bias
            logits = (q_BHTK * q_BHTK.shape[-1] ** -0.5) @ k_BHTK.transpose(-1, -2) + bias
            out_BHTK = self.dropout(logits.softmax(dim=-1)) @ v_BHTK
        else:
            bias = bias.expand(len(x_BTD), -1, -1, -1)
            out_BHTK = scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=bias)
        return self.join(out_BHTK.transpose(1, 2).flatten(2))


class Keys(NamedTuple):
    """Keys and values of B histories, computed once whatever the number of candidates; the null pair comes first."""

    keys_BHTK: Tensor
    values_BHTK: Tensor


class View(NamedTuple):
    """What each of R requests sees of B histories."""

    rows: Tensor  # int64 [R], the history of the request
    mask: Tensor  # bool [R, T], True = visible
    ages: Tensor  # float32 [R, T], interactions since
    time_ages: Tensor | None  # float32 [R, T], time since, in units of the model's time scale


class TargetAttention(nn.Module):
    """Attention of candidates over what a request sees, with one learned null pair.

    logit_ci = q_c . k_i / sqrt(K) + g(i), softmax over the visible i and the null key, so that an empty history is
    a normal case (DIN, arXiv 1706.06978, asks the same question with an MLP).

    Args:
        dim: D.
        num_heads: H.
        timed: Whether spans of time are known.
    """

    def __init__(self, dim: int, num_heads: int, *, timed: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.null_key = nn.Parameter(torch.zeros(num_heads, dim // num_heads))
        self.null_value = nn.Parameter(torch.zeros(num_heads, dim // num_heads))
        self.recency = RecencyBias(num_heads, timed=timed)

    def keys(self, states_BTD: Tensor) -> Keys:
        """Keys and values of histories, null pair first: [B, H, 1 + T, K]."""
        keys, values = (split_heads(project(states_BTD), self.num_heads) for project in (self.key, self.value))
        count = len(states_BTD)
        null_key = self.null_key[:, None].expand(count, -1, -1, -1)
        null_value = self.null_value[:, None].expand(count, -1, -1, -1)
        return Keys(torch.cat([null_key, keys], dim=2), torch.cat([null_value, values], dim=2))

    def forward(self, candidates: Tensor, keys: Keys, view: View) -> Tensor:
        """What each candidate found: [R, S, D], heads side by side, for candidates [S, D] (shared) or [R, S, D]."""
        queries_RHSK = split_heads(self.query(candidates), self.num_heads)
        if candidates.dim() == 2:
            queries_RHSK = queries_RHSK.expand(len(view.rows), -1, -1, -1)
        visible = torch.nn.functional.pad(view.mask, (1, 0), value=True)
        bias_RHT = torch.nn.functional.pad(self.recency(view.ages, view.time_ages), (1, 0))
        bias_RHT = torch.where(visible[:, None], bias_RHT, -torch.inf).to(queries_RHSK.dtype)
        found_RHSK = scaled_dot_product_attention(
            queries_RHSK,
            keys.keys_BHTK[view.rows],
            keys.values_BHTK[view.rows],
            attn_mask=bias_RHT[:, :, None].expand(-1, -1, queries_RHSK.shape[2], -1),
        )
        return found_RHSK.transpose(1, 2).flatten(2)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """[(B,) T, D] -> [B, H, T, K]; a missing first axis becomes 1."""
    x = x if x.dim() == 3 else x.unsqueeze(0)
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def has_holes(mask_BT: Tensor) -> bool:
    """Whether a place that is not real comes before one that is."""
    return bool((mask_BT[:, 1:] & ~mask_BT[:, :-1]).any())
