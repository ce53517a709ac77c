"""Pure loss functions of logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

CHUNK = 1024


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of x W^T + b whose gradient is gathered chunk by chunk while the loss is computed.

    At most CHUNK x N logits exist at a time, and they are computed once (cf. Cut Cross-Entropy, arXiv 2411.09009).
    """

    @staticmethod
    def forward(ctx: Any, x_PD: Tensor, items_ND: Tensor, biases_N: Tensor, targets_P: Tensor) -> Tensor:
        grad_x, grad_items = torch.empty_like(x_PD), torch.zeros_like(items_ND)
        grad_biases = torch.zeros_like(biases_N)
        total = x_PD.new_zeros((), dtype=torch.float32)
        for start in range(0, len(x_PD), CHUNK):
            rows = slice(start, start + CHUNK)
            x, targets = x_PD[rows], targets_P[rows, None]
            logits = torch.addmm(biases_N, x, items_ND.T).float()
            peak = logits.amax(dim=1, keepdim=True)
            own = logits.gather(1, targets) - peak
            weights = logits.sub_(peak).exp_()
            sums = weights.sum(dim=1, keepdim=True)
            total += (sums.log() - own).sum()
            weights /= sums
            weights.scatter_add_(1, targets, torch.full_like(own, -1.0))
            weights = weights.to(x.dtype)
            grad_x[rows] = weights @ items_ND
            grad_items.addmm_(weights.T, x)
            grad_biases += weights.sum(dim=0)
        ctx.save_for_backward(grad_x, grad_items, grad_biases)
        ctx.count = max(len(x_PD), 1)
        return total / ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        scale = grad / ctx.count
        return *(saved * scale for saved in ctx.saved_tensors), None


def full_softmax_loss(x_PD: Tensor, items_ND: Tensor, biases_N: Tensor, targets_P: Tensor) -> Tensor:
    """Mean cross-entropy over all N items, computed in chunks of positions.

    Args:
        x_PD: States.
        items_ND: Item embeddings.
        biases_N: Item biases; -inf leaves an item out.
        targets_P: int64, row of `items_ND` that is right.
    """
    with torch.autocast(x_PD.device.type, enabled=False):  # mixed precision: the sums need float32
        return _ChunkedCrossEntropy.apply(x_PD.float(), items_ND.float(), biases_N.float(), targets_P)


def sampled_softmax_loss(own_PK: Tensor, shared_PS: Tensor, log_counts_S: Tensor, known_PS: Tensor) -> Tensor:
    """Mean cross-entropy of each position's first own item against its other own items and S sampled negatives.

    A negative stands for 1 / expected count items of its kind (logQ, Bengio & Senecal 2008), so that the negatives
    estimate the sum over the catalog; own items, always present, are not corrected. Negatives that are among a
    position's own items are masked.
    """
    negatives = (shared_PS - log_counts_S).masked_fill(known_PS, -torch.inf)
    logits = torch.cat([own_PK, negatives], dim=1)
    return cross_entropy(logits.float(), torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def bce_loss(target_logits_P: Tensor, logits_PS: Tensor, hits_PS: Tensor) -> Tensor:
    """Binary cross-entropy: the target is 1; the mean over the sampled negatives that are not the target is 0."""
    positive = binary_cross_entropy_with_logits(target_logits_P, torch.ones_like(target_logits_P))
    each = binary_cross_entropy_with_logits(logits_PS, torch.zeros_like(logits_PS), reduction="none")
    kept = ~hits_PS
    return positive + (each * kept).sum() / kept.sum().clamp(min=1)
