"""The linear head's scores without gradients on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from recattn.nn.attention import BoundedTargetAttention, Keys, View

CACHED = 1 << 19  # exponentials alive at a time: about what a core's cache holds


def suits(attention: BoundedTargetAttention, candidates: Tensor) -> bool:
    """Whether `linear_head_term` gives the scores of this attention, and faster."""
    plain = type(attention) is BoundedTargetAttention and candidates.dtype == torch.float32
    return plain and candidates.device.type == "cpu" and not torch.is_grad_enabled()


def linear_head_term(
    attention: BoundedTargetAttention, queried: Tensor, content: Tensor, readout: Tensor, keys: Keys, view: View
) -> Tensor:
    """sum over heads of softmax_i(q . k_i + g_i) v_i . (U content), [R, S], as `TargetAttention.forward` has it.

    = sum over heads of u . (sum_i e^(q . k_i) G_i v_i) / (sum_i e^(q . k_i) G_i), with u = U content and
    G = e^(g - max g). Logits are bounded: no look for the largest is needed, the bias is in values and counts instead
    of in each pair, and the sums above and below the line are one matrix product. A few candidates at a time, so that
    the exponentials stay in the cache.

    Args:
        attention: With logits of at most `BOUND`.
        queried: What queries are made of [S, D] (shared) or [R, S, D].
        content: What readouts are made of, likewise.
        readout: U [D, D].
        keys: Of B histories.
        view: What R requests see of them.
    """
    heads, width = attention.num_heads, keys.values_BHTK.shape[3]
    queries_RHKS = _by_head(attention.query.weight, queried, heads)
    temperature = attention.temperature()[:, None, None]
    queries_RHKS = queries_RHKS * (temperature / queries_RHKS.square().sum(dim=2, keepdim=True).sqrt().clamp(min=1e-12))
    readouts_RHKS = _by_head(readout, content, heads)
    gains_RHT = pad(attention.recency(view.ages, view.time_ages), (1, 0))
    gains_RHT = gains_RHT.masked_fill(~pad(view.mask, (1, 0), value=True)[:, None], -torch.inf)
    weights_RHT = (gains_RHT - gains_RHT.amax(dim=-1, keepdim=True)).exp()
    size, total = queries_RHKS.shape[3], weights_RHT.shape[2]
    count, size, total = len(view.rows), queries_RHKS.shape[3], weights_RHT.shape[2]
    share = max(1, min(size, CACHED // (heads * total)))
    step = max(1, min(count, CACHED // (heads * total * share)))
    room = queries_RHKS.new_empty(
        step * heads * (total + width + 1) * share
    )  # fresh memory would cost more than to fill
    terms_RS = queries_RHKS.new_empty(count, size)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        weights, histories = weights_RHT[rows, :, None], view.rows[rows]
        values = keys.values_BHTK[histories].transpose(2, 3)
        summed = torch.cat([values * weights, weights], dim=2).flatten(0, 1)  # [R * H, K + 1, T]
        keys_, queries, readouts = keys.keys_BHTK[histories].flatten(0, 1), queries_RHKS, readouts_RHKS
        if len(queries_RHKS) > 1:
            queries, readouts = queries[rows], readouts[rows]
        for first in range(0, size, share):
            part = slice(first, min(first + share, size))
            asked = queries[..., part].expand(len(histories), -1, -1, -1).flatten(0, 1)
            exps = room[: len(keys_) * total * asked.shape[2]].view(len(keys_), total, -1)
            sums = room[exps.numel() :][: len(keys_) * (width + 1) * asked.shape[2]].view(len(keys_), width + 1, -1)
            torch.bmm(summed, torch.bmm(keys_, asked, out=exps).exp_(), out=sums)
            by_head = sums.unflatten(0, (-1, heads))
            above = (by_head[:, :, :width] * readouts[..., part]).sum(dim=2)
            terms_RS[rows, part] = (above / by_head[:, :, width]).sum(dim=1)
    return terms_RS


def _by_head(weight_DD: Tensor, candidates: Tensor, heads: int) -> Tensor:
    """[1 or R, H, K, S]: candidates last, as the products want them."""
    candidates = candidates if candidates.dim() == 3 else candidates.unsqueeze(0)
    return torch.matmul(weight_DD, candidates.transpose(1, 2)).unflatten(1, (heads, -1))
