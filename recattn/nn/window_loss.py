"""The training loss of a batch of windows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from recattn.batching.batch import WindowBatch
from recattn.config import Stage, TrainConfig
from recattn.nn.losses import bce_loss, full_softmax_loss, sampled_softmax_loss
from recattn.nn.scorer import Prefixes, Scorer


def window_losses(scorer: Scorer, batch: WindowBatch, train: TrainConfig) -> dict[str, Tensor]:
    """Losses by name: `retrieval` on every target, and `head` (the full score) on the batch's head positions.

    The retrieval score has its own loss, so that it retrieves well by itself. Both are means over positions.
    """
    states_BTD = scorer.encode(batch.history)
    losses = {"retrieval": retrieval_loss(scorer, batch, states_BTD, train)}
    if scorer.attention is not None and len(batch.head_rows):
        losses["head"] = head_loss(scorer, batch, states_BTD, train)
    return losses


def retrieval_loss(scorer: Scorer, batch: WindowBatch, states_BTD: Tensor, train: TrainConfig) -> Tensor:
    """The loss of the retrieval score over all positions that have a target."""
    rows, positions = torch.nonzero(batch.targets > 0, as_tuple=True)
    targets, ends = batch.targets[rows, positions], batch.prefix_ends[rows, positions]
    places = torch.arange(batch.history.items.shape[1], device=rows.device)
    mask = batch.history.mask[rows] & (places < ends[:, None])
    states_PD = scorer.states_at(states_BTD, rows, mask, _extra(scorer, batch, rows, positions))
    if train.loss == "softmax":
        codes = scorer.items.catalog()
        biases = scorer.items.biases(codes).masked_fill(~scorer.items.trainable[1:], -torch.inf)
        return full_softmax_loss(states_PD, scorer.items(codes), biases, targets - 1)
    target_logits = (states_PD * scorer.items(targets)).sum(dim=-1) + scorer.items.biases(targets)
    logits = scorer.retrieval(states_PD, scorer.items(batch.candidates), scorer.items.biases(batch.candidates))
    hits = batch.candidates == targets[:, None]
    if train.loss == "bce":
        return bce_loss(target_logits, logits, hits)
    return sampled_softmax_loss(target_logits[:, None], logits, batch.candidate_log_counts, hits)


def head_loss(scorer: Scorer, batch: WindowBatch, states_BTD: Tensor, train: TrainConfig) -> Tensor:
    """Cross-entropy of the model's full score on the head positions: the hardest items exactly, the rest sampled.

    The sum over the catalog is split in two: the `hard_negatives` items that the retrieval score puts first are summed
    as they are, all others are estimated from the shared negatives.

    Only `head_gradient` of the gradient reaches the states, embeddings and biases in common with the retrieval score:
    few positions are a noisy teacher for those. Where none does, the head learns on them as it will meet them, without
    dropout, or it would learn to make up for a noise that is not there later.
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
            (_damped(scorer.items(codes), share), _damped(scorer.items.biases(codes), share))
            for codes in (own, batch.candidates)
        ]
    prefixes = window_prefixes(scorer, batch, states_BTD, batch.head_rows, batch.head_positions)
    own_scores, shared_scores = (scorer.score(prefixes, items, biases) for items, biases in looked_up)
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
    )


def _extra(scorer: Scorer, batch: WindowBatch, rows: Tensor, positions: Tensor) -> Tensor | None:
    user = scorer.user(batch.user)[rows] if scorer.user is not None and batch.user is not None else None
    if scorer.context is None or batch.context is None:
        return user
    context = scorer.context(batch.context)[rows * batch.targets.shape[1] + positions]
    return context if user is None else user + context
