"""The training loss of a batch of windows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from recattn.batching.batch import WindowBatch
from recattn.config import Stage, TrainConfig
from recattn.nn.attention import BoundedTargetAttention
from recattn.nn.losses import bce_loss, full_softmax_loss, sampled_softmax_loss
from recattn.nn.prefix_loss import attention_loss
from recattn.nn.scorer import Prefixes, Scorer


def window_losses(scorer: Scorer, batch: WindowBatch, train: TrainConfig) -> dict[str, Tensor]:
    """Losses by name, each score its own, so that the cheaper ones rank well by themselves.

    `retrieval` and `attention` on every target, `deep` on the batch's head positions. All are means over positions.
    """
    states_BTD = scorer.encode(batch.history)
    states_BPD = scorer.states_along(states_BTD, batch.history.mask, batch.prefix_ends, _extra_along(scorer, batch))
    losses = {"retrieval": retrieval_loss(scorer, batch, states_BPD, train)}
    by_sums = isinstance(scorer.attention, BoundedTargetAttention)
    if by_sums:
        losses["attention"] = attention_loss(scorer, batch, states_BTD, states_BPD)
    if (scorer.deep_out is not None or (scorer.attention is not None and not by_sums)) and len(batch.head_rows):
        losses["deep"] = head_loss(scorer, batch, states_BTD, train)
    return losses


def total_loss(losses: dict[str, Tensor], train: TrainConfig) -> Tensor:
    """The weighted sum of `window_losses`."""
    weights = {"retrieval": 1.0, "attention": train.attention_weight, "deep": train.head_weight}
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


def retrieval_loss(scorer: Scorer, batch: WindowBatch, states_BPD: Tensor, train: TrainConfig) -> Tensor:
    """The loss of the retrieval score over all positions that have a target."""
    wanted = batch.targets > 0
    states_PD, targets = states_BPD[wanted], batch.targets[wanted]
    weights = None if batch.target_weights is None else batch.target_weights[wanted]
    if train.loss == "softmax":
        codes = scorer.items.catalog()
        biases = scorer.items.biases(codes).masked_fill(~scorer.items.targets[1:], -torch.inf)
        return full_softmax_loss(states_PD, scorer.items(codes), biases, targets - 1, weights)
    target_logits = (states_PD * scorer.items(targets)).sum(dim=-1) + scorer.items.biases(targets)
    logits = scorer.retrieval(states_PD, scorer.items(batch.candidates), scorer.items.biases(batch.candidates))
    hits = batch.candidates == targets[:, None]
    if train.loss == "bce":
        return bce_loss(target_logits, logits, hits)
    return sampled_softmax_loss(target_logits[:, None], logits, batch.candidate_log_counts, hits, weights)


def head_loss(scorer: Scorer, batch: WindowBatch, states_BTD: Tensor, train: TrainConfig) -> Tensor:
    """Cross-entropy of the model's full score on the head positions: the hardest items exactly, the rest sampled.

    The sum over the catalog is split in two: the `hard_negatives` items that the retrieval score puts first are summed
    as they are, all others are estimated from the shared negatives.

    Only `head_gradient` of the gradient reaches the states, embeddings and biases in common with the retrieval score:
    few positions are a noisy teacher for those. Where none does, the head learns on them as it will meet them, without
    dropout, or it would learn to make up for a noise that is not there later. Embeddings of attention alone are the
    head's own and have all of the gradient.
    """
    share = train.head_gradient
    as_served = _without_dropout(scorer.items, scorer.history) if scorer.training and not share else None
    targets = batch.targets[batch.head_rows, batch.head_positions]

    with as_served or contextlib.nullcontext():
        states_BTD = states_BTD if as_served is None else scorer.encode(batch.history)
        states_BTD = _damped(states_BTD, share)
        hard = hard_items(scorer, batch, states_BTD, targets, train.hard_negatives)
        own = torch.cat([targets[:, None], hard], dim=1)
        looked_up = [
            (codes, _damped(scorer.items(codes), share), _damped(scorer.items.biases(codes), share))
            for codes in (own, batch.candidates)
        ]
    prefixes = window_prefixes(scorer, batch, states_BTD, batch.head_rows, batch.head_positions)
    own_scores, shared_scores = (
        scorer.score(prefixes, scorer.beside(items, codes), biases) for codes, items, biases in looked_up
    )
    known = (batch.candidates[:, None] == own[:, None]).any(dim=2)
    return sampled_softmax_loss(own_scores, shared_scores, batch.candidate_log_counts, known)


@contextlib.contextmanager
def _without_dropout(*modules: torch.nn.Module) -> Iterator[None]:
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for module in modules:
            module.train()


@torch.no_grad()
def hard_items(scorer: Scorer, batch: WindowBatch, states_BTD: Tensor, targets: Tensor, count: int) -> Tensor:
    """The `count` items but the target that the retrieval score puts first, codes int64 [R, count]."""
    prefixes = window_prefixes(scorer, batch, states_BTD, batch.head_rows, batch.head_positions, "retrieval")
    codes = torch.nonzero(scorer.items.trainable).squeeze(1)
    scores = scorer.retrieval(prefixes.states_RD, scorer.items(codes), scorer.items.biases(codes))
    scores = scores.masked_fill(codes == targets[:, None], -torch.inf)
    return codes[scores.topk(min(count, max(len(codes) - 1, 0)), dim=1).indices]


def _damped(x: Tensor, share: float) -> Tensor:
    """The same values, with `share` of the gradient."""
    return x.detach() if share == 0 else x if share == 1 else share * x + (1 - share) * x.detach()


def window_prefixes(
    scorer: Scorer,
    batch: WindowBatch,
    states_BTD: Tensor,
    rows: Tensor,
    positions: Tensor,
    stage: Stage | None = None,
) -> Prefixes:
    """Positions of windows as requests, by the general masked form: each sees its own prefix."""
    return scorer.prefixes(
        batch.history,
        states_BTD,
        rows,
        batch.prefix_ends[rows, positions],
        None if batch.query_times is None else batch.query_times[rows, positions],
        _extra(scorer, batch, rows, positions),
        stage,
        remember=False,  # nothing of it is trained
    )


def _extra(scorer: Scorer, batch: WindowBatch, rows: Tensor, positions: Tensor) -> Tensor | None:
    extra = _extra_along(scorer, batch)
    return None if extra is None else extra.expand(-1, batch.targets.shape[1], -1)[rows, positions]


def _extra_along(scorer: Scorer, batch: WindowBatch) -> Tensor | None:
    """User and context input [B, 1 or P, D]."""
    user = scorer.user(batch.user)[:, None] if scorer.user is not None and batch.user is not None else None
    if scorer.context is None or batch.context is None:
        return user
    context = scorer.context(batch.context).unflatten(0, batch.targets.shape)
    return context if user is None else user + context
