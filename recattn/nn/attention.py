"""Multi-head scaled dot-product attention, of a history over itself or of candidates over a history."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from recattn.nn.bias import RecencyBias


class SelfAttention(nn.Module):
    """Causal attention of interactions over themselves: state i sees the real interactions <= i.

    Places enter by rotation of queries and keys (RoPE, arXiv 2104.09864): a logit depends on how far apart two
    interactions are, and no bias stands in the way of the fused kernels.

    Args:
        dim: D.
        num_heads: H.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.project = nn.Linear(dim, 3 * dim, bias=False)
        self.join = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor, bias_BHTT: Tensor | None = None) -> Tensor:
        """Outputs [B, T, D], with a bias added to logits where there is one; at padded places they mean nothing."""
        length = x_BTD.shape[1]
        q_BHTK, k_BHTK, v_BHTK = (split_heads(x, self.num_heads) for x in self.project(x_BTD).chunk(3, dim=-1))
        q_BHTK, k_BHTK = rotated(q_BHTK), rotated(k_BHTK)
        holes = has_holes(mask_BT)  # padding on the right is in the future of all that is real
        if bias_BHTT is None and not holes and q_BHTK.is_cuda:
            out_BHTK = scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True)
            return self.join(out_BHTK.transpose(1, 2).flatten(2))
        bias = q_BHTK.new_zeros(1, 1, length, length) if bias_BHTT is None else bias_BHTT
        future = torch.ones(length, length, dtype=torch.bool, device=x_BTD.device).triu(1)
        bias = bias.masked_fill(future, -torch.inf)
        if holes:
            itself = torch.eye(length, dtype=torch.bool, device=x_BTD.device)
            bias = bias.masked_fill(~(mask_BT[:, None, None, :] | itself), -torch.inf)
        bias = bias.to(q_BHTK.dtype)
        if self.training:  # the fused kernels have no gradient for a bias, and are no faster on a CPU
            logits = (q_BHTK * q_BHTK.shape[-1] ** -0.5) @ k_BHTK.transpose(-1, -2) + bias
            out_BHTK = logits.softmax(dim=-1, dtype=logits.dtype) @ v_BHTK
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

    def keys(self, states_BTD: Tensor, values_BTD: Tensor | None = None) -> Keys:
        """Keys and values of histories, null pair first: [B, H, 1 + T, K]; values of the states too unless given."""
        keys = split_heads(self.key(states_BTD), self.num_heads)
        values = split_heads(self.value(states_BTD if values_BTD is None else values_BTD), self.num_heads)
        count = len(states_BTD)
        null_key = self.null_key[:, None].expand(count, -1, -1, -1)
        null_value = self.null_value[:, None].expand(count, -1, -1, -1)
        return Keys(torch.cat([null_key, keys], dim=2), torch.cat([null_value, values], dim=2))

    def queries(self, candidates: Tensor) -> Tensor:
        """Queries [1 or R, H, S, K] whose products with keys are logits."""
        return split_heads(self.query(candidates), self.num_heads) * (self.null_key.shape[1] ** -0.5)

    def forward(self, candidates: Tensor, keys: Keys, view: View) -> Tensor:
        """What each candidate found: [R, S, D], heads side by side, for candidates [S, D] (shared) or [R, S, D]."""
        queries_RHSK = self.queries(candidates)
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
            scale=1.0,
        )
        return found_RHSK.transpose(1, 2).flatten(2)


class BoundedTargetAttention(TargetAttention):
    """Target attention whose logits are cosines times a learned temperature of each head, at most `BOUND`.

    logit_ci = tau cos(q_c, k_i) + g(i): the exponents stay within what running sums over all prefixes can hold
    (`recattn.nn.prefix_softmax`).
    """

    BOUND = 20.0

    def __init__(self, dim: int, num_heads: int, *, timed: bool) -> None:
        super().__init__(dim, num_heads, timed=timed)
        self.log_temperature = nn.Parameter(torch.full((num_heads,), math.log(4.0)))
        nn.init.normal_(self.null_key, std=0.02)

    def keys(self, states_BTD: Tensor, values_BTD: Tensor | None = None) -> Keys:
        keys, values = super().keys(states_BTD, values_BTD)
        return Keys(normalize(keys, dim=-1), values)

    def temperature(self) -> Tensor:
        """tau of each head [H]."""
        return self.log_temperature.clamp(max=math.log(self.BOUND)).exp()

    def queries(self, candidates: Tensor) -> Tensor:
        return self.temperature()[:, None, None] * normalize(
            split_heads(self.query(candidates), self.num_heads), dim=-1
        )


class UniformAttention(BoundedTargetAttention):
    """All visible interactions and the null pair alike, whatever the candidate: what attention is measured against."""

    def __init__(self, dim: int, num_heads: int, *, timed: bool) -> None:
        super().__init__(dim, num_heads, timed=timed)
        for unused in (*self.query.parameters(), *self.key.parameters(), *self.recency.parameters()):
            unused.requires_grad_(False)
        self.log_temperature.requires_grad_(False)
        self.null_key.requires_grad_(False)
        nn.init.zeros_(self.recency.order_slope)

    def queries(self, candidates: Tensor) -> Tensor:
        return torch.zeros_like(split_heads(self.query(candidates), self.num_heads))


class MlpTargetAttention(TargetAttention):
    """DIN's attention (arXiv 1706.06978): a weight for each pair from an MLP of query, key and their product.

    weight_ci = w . SiLU(A q_c + B k_i + C (q_c * k_i)) + g(i), summed without softmax over the visible i. A, B and C
    hold what DIN's first layer makes of [q, k, q - k, q * k]; a pair costs 2 D HIDDEN FLOP instead of 2 D.
    """

    HIDDEN = 32
    CELLS = 1 << 20  # floats of its hidden layer alive at a time; in training they are computed again

    def __init__(self, dim: int, num_heads: int, *, timed: bool) -> None:
        super().__init__(dim, num_heads, timed=timed)
        width = dim // num_heads
        self.of_query, self.of_product = nn.Linear(width, self.HIDDEN), nn.Linear(width, self.HIDDEN, bias=False)
        self.of_key = nn.Linear(width, self.HIDDEN, bias=False)
        self.weight = nn.Linear(self.HIDDEN, 1)

    def forward(self, candidates: Tensor, keys: Keys, view: View) -> Tensor:
        queries = split_heads(self.query(candidates), self.num_heads)
        found = []
        for row in range(len(view.rows)):
            own = queries[row if candidates.dim() == 3 else 0]
            step = max(1, self.CELLS // max(1, own.shape[0] * int(view.mask[row].sum()) * self.HIDDEN))
            parts = [
                checkpoint(self._found, part, keys, view, row, use_reentrant=False)
                if torch.is_grad_enabled()
                else self._found(part, keys, view, row)
                for part in own.split(step, dim=1)
            ]
            found.append(torch.cat(parts, dim=1))
        return torch.stack(found).transpose(1, 2).flatten(2)

    def _found(self, queries_HSK: Tensor, keys: Keys, view: View, row: int) -> Tensor:
        """[H, S, K] for one request: only what it sees is looked at."""
        seen = torch.nonzero(view.mask[row]).squeeze(1)
        history = view.rows[row]
        keys_HTK, values_HTK = (part[history][:, 1:][:, seen] for part in keys)
        products = self.of_product.weight[:, None] * queries_HSK[..., None, None, :]  # [H, S, hidden, 1, K]
        hidden = torch.einsum("hsjok,htk->hstj", products, keys_HTK)
        hidden = hidden + self.of_query(queries_HSK)[:, :, None] + self.of_key(keys_HTK)[:, None]
        weights_HST = self.weight(nn.functional.silu(hidden)).squeeze(-1)
        time_ages = None if view.time_ages is None else view.time_ages[row : row + 1, seen]
        bias = self.recency(view.ages[row : row + 1, seen], time_ages)[0]
        return (weights_HST + bias[:, None]) @ values_HTK


MATCHINGS = {"cosine": BoundedTargetAttention, "uniform": UniformAttention, "mlp": MlpTargetAttention}


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """[(B,) T, D] -> [B, H, T, K]; a missing first axis becomes 1."""
    x = x if x.dim() == 3 else x.unsqueeze(0)
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def rotated(x_BHTK: Tensor) -> Tensor:
    """Pairs of entries turned by their place times a frequency, from 1 down to 1 / 10,000 over the pairs."""
    half = x_BHTK.shape[-1] // 2
    exact = torch.promote_types(x_BHTK.dtype, torch.float32)
    frequencies = 10_000.0 ** (-torch.arange(half, device=x_BHTK.device, dtype=exact) / max(half, 1))
    angles = torch.arange(x_BHTK.shape[2], device=x_BHTK.device)[:, None] * frequencies
    cos, sin = angles.cos().to(x_BHTK.dtype), angles.sin().to(x_BHTK.dtype)
    first, second, rest = x_BHTK[..., :half], x_BHTK[..., half : 2 * half], x_BHTK[..., 2 * half :]
    return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], dim=-1)


def has_holes(mask_BT: Tensor) -> bool:
    """Whether a place that is not real comes before one that is."""
    return bool((mask_BT[:, 1:] & ~mask_BT[:, :-1]).any())
