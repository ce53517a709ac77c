"""Full-catalog cross-entropy of the attention score on all prefixes of windows, by running sums."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recattn.nn.losses import product_dtype
from recattn.nn.running_head import RunningHead

CELLS = 1 << 20  # floats of one [S, G, T] temporary
SAFE = 60.0  # largest spread of exponents within a block: exp(+-SAFE) and its products stay within float32


class PrefixAttention(NamedTuple):
    """Candidates that look at histories through H heads, in a form that running sums can evaluate.

    Candidate c weighs interaction i of window b with exp(queries_hc . keys_bhi + gains_bhi), and the null pair with
    exp(null_logits_hc + shifts_bhp) at position p: biases g(i) of the interaction and f(p) of the position, where the
    softmax lets a common f(p) move from all interactions to the null pair.
    """

    queries_HSK: Tensor
    readouts_HSK: Tensor  # U_h e_c: what a candidate makes of the values it finds
    keys_BHTK: Tensor
    values_BHTK: Tensor
    null_logits_HS: Tensor
    null_outputs_HS: Tensor  # readout of the null value
    gains_BHT: Tensor  # float32
    shifts_BHP: Tensor  # float32


def prefix_softmax_loss(
    states_BPD: Tensor,
    items_SD: Tensor,
    biases_S: Tensor,
    attention: PrefixAttention,
    own_scores_BP: Tensor,
    prefix_ends_BP: Tensor,
    wanted_BP: Tensor,
    hits_BP: Tensor,
    *,
    bound: float,
    block: int | None = None,
) -> Tensor:
    """Mean cross-entropy of each position's own score against those of S shared candidates, at all positions at once.

    score = s_p . e_c + b_c + sum_h num / den, where num and den are the running sums over i < prefix_ends[p] of
    exp(logit) (u . v) and exp(logit), plus the null pair: O(S T K) for all T prefixes of a window instead of
    O(S T^2 K). Gradients are gathered while the loss is computed, some windows at a time, so that memory is bounded by
    `CELLS`; sums are in float32, in blocks whose exponents spread by at most `SAFE`.

    Args:
        states_BPD: State at each position.
        items_SD: Embeddings of the candidates.
        biases_S: Their biases, with the logQ correction where they are a sample; -inf leaves one out.
        attention: The heads.
        own_scores_BP: Full score of each position's target.
        prefix_ends_BP: int64 in 0..T, how many interactions each position sees.
        wanted_BP: bool, where there is a loss.
        hits_BP: int64, row of `items_SD` that is the position's own target, and does not count; -1 for none.
        bound: Largest |queries . keys| and |null_logits|.
        block: What `safe_block` says of the wanted positions, where the caller has asked it already.

    Raises:
        ValueError: The exponents spread too far for running sums (`safe_block`).
    """
    dtype = product_dtype(states_BPD.device)
    block = block or safe_block(attention, torch.where(wanted_BP, prefix_ends_BP, 0), bound)
    if block is None:
        raise ValueError("the exponents spread too far for running sums; use the masked form")
    with torch.autocast(states_BPD.device.type, enabled=False):
        tensors = (states_BPD, items_SD, biases_S, *attention, own_scores_BP)
        return _PrefixSoftmax.apply(
            *(tensor.float() for tensor in tensors), prefix_ends_BP, wanted_BP, hits_BP, block, dtype
        )


@torch.no_grad()
def safe_block(attention: PrefixAttention, prefix_ends_BP: Tensor, bound: float) -> int | None:
    """Interactions a block of the running sums may have so that its exponents spread by at most `SAFE`.

    T where the whole window will do, else a power of two; None where not even single interactions do: a request long
    after the last event it sees, say, whose null pair outweighs all.
    """
    gains_BHT, shifts_BHP = attention.gains_BHT, attention.shifts_BHP
    length = gains_BHT.shape[2]
    if not length or not len(gains_BHT):
        return max(length, 1)
    known = gains_BHT > -torch.inf
    low, high = (torch.where(known, gains_BHT, fill) for fill in (torch.inf, -torch.inf))
    last = (prefix_ends_BP - 1).clamp(min=0)[:, None].expand_as(shifts_BHP)
    apart = (shifts_BHP - torch.where(known, gains_BHT, 0.0).gather(2, last)).abs()
    limit = SAFE - bound - float(torch.where(prefix_ends_BP[:, None] > 0, apart, 0.0).max())
    block = 1 << (length - 1).bit_length()
    while block:
        spans = [
            (part_high.amax(dim=2) - part_low.amin(dim=2)).amax()
            for part_low, part_high in zip(low.split(block, dim=2), high.split(block, dim=2), strict=True)
        ]
        if float(torch.stack(spans).max()) <= limit:
            return min(block, length)
        block //= 2
    return None


class _PrefixSoftmax(torch.autograd.Function):
    """See `prefix_softmax_loss`; the backward pass only scales what the forward pass gathered."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *inputs, ends_BP, wanted_BP, hits_BP, block, dtype = given
        grads = [torch.zeros_like(tensor) for tensor in inputs]
        low = [tensor if place in (2, 7, 8, 9, 10, 11) else tensor.to(dtype) for place, tensor in enumerate(inputs)]
        loss = inputs[0].new_zeros(())
        cells = len(inputs[1]) * max(inputs[5].shape[2], ends_BP.shape[1])
        step = max(1, CELLS // max(cells, 1))
        for start in range(0, len(ends_BP), step):
            rows = slice(start, start + step)
            loss += _gather(low, grads, rows, ends_BP[rows], wanted_BP[rows], hits_BP[rows], block)
        count = wanted_BP.sum().clamp(min=1)
        ctx.save_for_backward(*grads)
        ctx.count = count
        return loss / count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        scale = grad / ctx.count
        return *(saved * scale for saved in ctx.saved_tensors), None, None, None, None, None


def _gather(
    inputs: list[Tensor], grads: list[Tensor], rows: slice, ends: Tensor, wanted: Tensor, hits: Tensor, block: int
) -> Tensor:
    """The summed loss of some windows; adds their gradients to `grads`."""
    states, items, biases, queries, readouts, keys, values, null_logits, null_outputs, gains, shifts, own = inputs
    live = torch.nonzero(wanted.any(dim=0)).squeeze(1)
    if not len(live):
        return biases.new_zeros(())
    places = slice(int(live[0]), int(live[-1]) + 1)
    ends = ends[:, places]
    alone = (ends == 0) | ~wanted[:, places]  # the null pair's weight is then of no account, and must not overflow
    length = max(int(ends.max()), 1)
    states_QD = states[rows, places].flatten(0, 1)
    scores_SQ = torch.mm(items, states_QD.T).float().add_(biases[:, None])
    heads = []
    for h in range(len(queries)):
        head = RunningHead(
            queries[h], readouts[h], keys[rows, h, :length], values[rows, h, :length], null_logits[h], null_outputs[h]
        )
        found = head.look(gains[rows, h, :length], shifts[rows, h, places], ends, alone, block)
        scores_SQ += found.flatten(1)
        heads.append(head)
    loss, weights_SQ, own_weights_Q = _cross_entropy(
        scores_SQ, own[rows, places].flatten(), wanted[:, places].flatten(), hits[:, places].flatten()
    )
    for h, head in enumerate(heads):
        got = head.gather(weights_SQ.unflatten(1, ends.shape))
        for place, value in zip(
            (3, 4, 7, 8), (got.queries, got.readouts, got.null_logits, got.null_outputs), strict=True
        ):
            grads[place][h] += value
        grads[5][rows, h, :length], grads[6][rows, h, :length] = got.keys, got.values
        grads[9][rows, h, :length], grads[10][rows, h, places] = got.gains, got.shifts
    grads[11][rows, places] = own_weights_Q.unflatten(0, ends.shape)
    grads[2] += weights_SQ.sum(dim=1)
    weights_SQ = weights_SQ.to(items.dtype)
    grads[0][rows, places] = torch.mm(weights_SQ.T, items).float().unflatten(0, ends.shape)
    grads[1] += torch.mm(weights_SQ, states_QD)
    return loss


def _cross_entropy(scores_SQ: Tensor, own_Q: Tensor, wanted_Q: Tensor, hits_Q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Summed loss, and its gradient by shared and own scores; writes over the shared scores."""
    hit = torch.nonzero(hits_Q >= 0).squeeze(1)
    scores_SQ[hits_Q[hit], hit] = -torch.inf
    peak = torch.maximum(scores_SQ.amax(dim=0), own_Q)
    weights_SQ = scores_SQ.sub_(peak).exp_()
    own_weights = (own_Q - peak).exp_()
    totals = weights_SQ.sum(dim=0) + own_weights
    weights_SQ.mul_(wanted_Q / totals)
    losses = totals.log() + peak - own_Q
    return (losses * wanted_Q).sum(), weights_SQ, (own_weights / totals - 1) * wanted_Q
