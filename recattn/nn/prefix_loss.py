"""The loss of the attention score on every position of a batch of windows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recattn.batching.batch import WindowBatch
from recattn.nn.attention import BoundedTargetAttention, Keys, split_heads
from recattn.nn.losses import sampled_softmax_loss
from recattn.nn.prefix_softmax import PrefixAttention, prefix_softmax_loss, safe_block
from recattn.nn.scorer import Scorer

POSITIONS = 64  # positions at a time where running sums will not do


def attention_loss(scorer: Scorer, batch: WindowBatch, states_BTD: Tensor, states_BPD: Tensor) -> Tensor:
    """Cross-entropy of the attention score at all positions, the target against the batch's shared candidates.

    By running sums (`recattn.nn.prefix_softmax`), or in the general masked form where their exponents spread too far.

    Args:
        scorer: With a linear attention head.
        batch: The windows.
        states_BTD: Their encoded histories.
        states_BPD: The state each position starts from.
    """
    attention = scorer.attention
    assert isinstance(attention, BoundedTargetAttention)
    wanted, codes = batch.targets > 0, batch.candidates
    items = scorer.candidates(codes)
    biases = scorer.items.biases(codes) - batch.candidate_log_counts
    keys = scorer.attention_keys(batch.history, scorer.key_inputs(batch.history, states_BTD))
    gains, shifts = recency(attention, batch, scorer.time_scale)
    own = own_scores(scorer, batch, states_BPD, keys, gains, shifts)
    heads, content = prefix_attention(scorer, items, keys, gains, shifts), scorer.content(items)
    block = safe_block(heads, torch.where(wanted, batch.prefix_ends, 0), attention.BOUND)
    if block is None:
        return masked_loss(scorer, batch, states_BPD, heads, own, content, biases)
    rows = torch.full((scorer.items.num_codes,), -1, device=codes.device)
    rows[codes] = torch.arange(len(codes), device=codes.device)
    hits = torch.where(wanted, rows[batch.targets], -1)
    return prefix_softmax_loss(
        states_BPD, content, biases, heads, own, batch.prefix_ends, wanted, hits, bound=attention.BOUND, block=block
    )


def recency(attention: BoundedTargetAttention, batch: WindowBatch, time_scale: Tensor) -> tuple[Tensor, Tensor]:
    """The recency bias as gains [B, H, T] of interactions, -inf at padding, and shifts [B, H, P] of the null pair."""
    history, times, query_times = batch.history, None, None
    if history.times is not None and batch.query_times is not None:
        end = history.times.masked_fill(~history.mask, 0).amax(dim=1, keepdim=True)
        none = batch.prefix_ends == 0  # any moment will do where there is the null pair alone
        moments = torch.where(none, history.times[:, :1], batch.query_times)
        times, query_times = ((seconds - end).float() / time_scale for seconds in (history.times, moments))
    gains, shifts = attention.recency.apart(history.items.shape[1], batch.prefix_ends, times, query_times)
    return gains.masked_fill(~history.mask[:, None], -torch.inf), shifts


def prefix_attention(
    scorer: Scorer, items: Tensor, keys: Keys, gains_BHT: Tensor, shifts_BHP: Tensor
) -> PrefixAttention:
    """The linear head over shared candidates (`Scorer.candidates`), null pair apart."""
    assert scorer.attention is not None
    assert scorer.attention_out is not None
    queried_SD, content_SD = scorer.asked(items)
    queries_HSK = scorer.attention.queries(queried_SD)[0]
    readouts_HSK = split_heads(scorer.attention_out(content_SD), scorer.attention.num_heads)[0]
    null_keys_HK, null_values_HK = keys.keys_BHTK[0, :, 0], keys.values_BHTK[0, :, 0]
    return PrefixAttention(
        queries_HSK=queries_HSK,
        readouts_HSK=readouts_HSK,
        keys_BHTK=keys.keys_BHTK[:, :, 1:],
        values_BHTK=keys.values_BHTK[:, :, 1:],
        null_logits_HS=(queries_HSK @ null_keys_HK[:, :, None].to(queries_HSK.dtype)).squeeze(2),
        null_outputs_HS=(readouts_HSK @ null_values_HK[:, :, None]).squeeze(2),
        gains_BHT=gains_BHT,
        shifts_BHP=shifts_BHP,
    )


def own_scores(
    scorer: Scorer, batch: WindowBatch, states_BPD: Tensor, keys: Keys, gains_BHT: Tensor, shifts_BHP: Tensor
) -> Tensor:
    """The attention score [B, P] of each position's target, which sees the interactions before its prefix's end."""
    assert scorer.attention is not None
    assert scorer.attention_out is not None
    items = scorer.candidates(batch.targets)
    retrieval = (states_BPD * scorer.content(items)).sum(dim=-1) + scorer.items.biases(batch.targets)
    queried_BPD, content_BPD = scorer.asked(items)
    queries_BHPK = scorer.attention.queries(queried_BPD)
    readouts_BHPK = split_heads(scorer.attention_out(content_BPD), scorer.attention.num_heads)
    places = torch.arange(gains_BHT.shape[2], device=gains_BHT.device)
    unseen_BPT = places >= batch.prefix_ends[:, :, None]
    bias = gains_BHT[:, :, None].masked_fill(unseen_BPT[:, None], -torch.inf)
    bias = torch.cat([shifts_BHP[..., None], bias], dim=3)
    weights = ((queries_BHPK @ keys.keys_BHTK.transpose(2, 3)).float() + bias).softmax(dim=3)
    matches = (readouts_BHPK @ keys.values_BHTK.transpose(2, 3)).float()
    return retrieval.float() + (weights * matches).sum(dim=3).sum(dim=1)


def masked_loss(
    scorer: Scorer,
    batch: WindowBatch,
    states_BPD: Tensor,
    heads: PrefixAttention,
    own_BP: Tensor,
    items_SD: Tensor,
    biases_S: Tensor,
) -> Tensor:
    """The same loss by a softmax of its own for every position, a few positions at a time."""
    rows, positions = torch.nonzero(batch.targets > 0, as_tuple=True)
    total = own_BP.new_zeros(())
    for start in range(0, len(rows), POSITIONS):
        chunk = slice(start, start + POSITIONS)
        places = rows[chunk], positions[chunk]
        found = checkpoint(_found, heads, batch.prefix_ends, places, use_reentrant=False)
        shared = states_BPD[places].float() @ items_SD.float().T + biases_S + found
        hits = batch.candidates == batch.targets[places][:, None]
        none = biases_S.new_zeros(len(biases_S))
        loss = sampled_softmax_loss(own_BP[places][:, None], shared, none, hits)
        total = total + loss * len(places[0])
    return total / max(len(rows), 1)


def _found(heads: PrefixAttention, ends_BP: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """What the shared candidates find at some positions [R, S], heads summed."""
    rows, positions = places
    seen_RT = torch.arange(heads.gains_BHT.shape[2], device=rows.device) < ends_BP[places][:, None]
    logits = (
        torch.einsum("hsk,rhtk->rhst", heads.queries_HSK, heads.keys_BHTK[rows]) + heads.gains_BHT[rows][:, :, None]
    )
    logits = logits.masked_fill(~seen_RT[:, None, None], -torch.inf)
    null = heads.null_logits_HS + heads.shifts_BHP[rows, :, positions][..., None]
    weights = torch.cat([logits, null[..., None]], dim=3).softmax(dim=3)
    matches = torch.einsum("hsk,rhtk->rhst", heads.readouts_HSK, heads.values_BHTK[rows])
    outputs = heads.null_outputs_HS.expand(len(rows), -1, -1)[..., None]
    return (weights * torch.cat([matches, outputs], dim=3)).sum(dim=3).sum(dim=1)
