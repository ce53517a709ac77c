"""The linear head's scores without gradients on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from recattn.nn.attention import BoundedTargetAttention, Keys, View

CACHED = 1 << 18  # exponentials alive at a time: a part of what a core's cache holds
BLOCK = 2048  # candidates whose queries and readouts are alive
Asked = Callable[[Tensor], tuple[Tensor, Tensor]]


def suits(attention: BoundedTargetAttention, candidates: Tensor) -> bool:
    """Whether `linear_head_term` gives the scores of this attention, and faster."""
    plain = type(attention) is BoundedTargetAttention and candidates.dtype == torch.float32
    exact = not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    return plain and exact and candidates.device.type == "cpu"


def linear_head_term(
    attention: BoundedTargetAttention, items: Tensor, asked: Asked, readout: Tensor, keys: Keys, view: View
) -> Tensor:
    """sum over heads of softmax_i(q . k_i + g_i) v_i . (U content), [R, S], as `TargetAttention.forward` has it.

    = sum over heads of u . (sum_i e^(q . k_i) G_i v_i) / (sum_i e^(q . k_i) G_i), with u = U content and
    G = e^(g - max g). Logits are bounded: no look for the largest is needed, the bias is in values and counts instead
    of in each pair, and the sums above and below the line are one matrix product. A few candidates at a time, so that
    the exponentials stay in the cache.

    Args:
        attention: With logits of at most `BOUND`.
        items: Candidates [S, ...] (shared) or [R, S, ...].
        asked: What queries and readouts of some of the candidates are made of, each [..., D].
        readout: U [D, D].
        keys: Of B histories.
        view: What R requests see of them.
    """
    gains_RHT = pad(attention.recency(view.ages, view.time_ages), (1, 0))
    gains_RHT = gains_RHT.masked_fill(~pad(view.mask, (1, 0), value=True)[:, None], -torch.inf)
    weights_RHT = (gains_RHT - gains_RHT.amax(dim=-1, keepdim=True)).exp()
    count, size, shared = len(view.rows), items.shape[-2], items.dim() == 2
    together = count if shared else max(1, BLOCK // max(size, 1))
    least = weights_RHT.shape[1] * weights_RHT.shape[2]
    room = items.new_empty(max(CACHED, least))  # fresh memory would cost more than to fill it
    terms_RS = items.new_empty(count, size)
    for first in range(0, size, BLOCK):
        part = slice(first, min(first + BLOCK, size))
        for start in range(0, count, together):
            rows = slice(start, min(start + together, count))
            some = items[None, part] if shared else items[rows, part]
            queries, readouts = _projected(attention, *asked(some), readout)
            _read(terms_RS[rows, part], queries, readouts, keys, view.rows[rows], weights_RHT[rows], room)
    return terms_RS


def _read(
    out_RS: Tensor,
    queries_RHKS: Tensor,
    readouts_RHKS: Tensor,
    keys: Keys,
    histories_R: Tensor,
    weights_RHT: Tensor,
    room: Tensor,
) -> None:
    """Fill `out_RS`; as many requests and candidates at a time as `room` holds exponentials of."""
    (count, size), (heads, total) = out_RS.shape, weights_RHT.shape[1:]
    width = queries_RHKS.shape[2]
    share = max(1, min(size, len(room) // (heads * total)))
    step = max(1, min(count, len(room) // (heads * total * share)))
    sums = room.new_empty(step * heads, width + 1, size)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        own = rows if len(queries_RHKS) > 1 else slice(None)
        weights = weights_RHT[rows, :, None]
        values = keys.values_BHTK[histories_R[rows]].transpose(2, 3)
        summed = torch.cat([values * weights, weights], dim=2).flatten(0, 1)  # [R * H, K + 1, T]
        keys_ = keys.keys_BHTK[histories_R[rows]].flatten(0, 1)  # [R * H, T, K]
        queries = queries_RHKS[own].expand(len(weights), -1, -1, -1).flatten(0, 1)
        found = sums[: len(keys_)]
        for first in range(0, size, share):
            few = queries[..., first : first + share]
            exps = room[: len(keys_) * total * few.shape[2]].view(len(keys_), total, -1)
            found[..., first : first + share] = torch.bmm(summed, torch.bmm(keys_, few, out=exps).exp_())
        above, below = found.unflatten(0, (-1, heads)).split([width, 1], dim=2)
        out_RS[rows] = ((above * readouts_RHKS[own]).sum(dim=2) / below.squeeze(2)).sum(dim=1)


def _projected(
    attention: BoundedTargetAttention, queried: Tensor, content: Tensor, readout: Tensor
) -> tuple[Tensor, Tensor]:
    """Queries and readouts [n, H, K, S] from [n, S, D]: candidates last, as the products want them."""
    queries, readouts = (
        torch.bmm(weight.expand(len(x), -1, -1), x.transpose(1, 2)).unflatten(1, (attention.num_heads, -1))
        for weight, x in ((attention.query.weight, queried), (readout, content))
    )
    norms = queries.square().sum(dim=2, keepdim=True).clamp(min=1e-24)
    return queries.mul_(norms.rsqrt() * attention.temperature()[:, None, None]), readouts
