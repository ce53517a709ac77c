"""Pure loss functions of logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

CHUNK = 256  # rows of logits alive at a time: few enough to stay in a processor's cache


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of x W^T + b whose gradient is gathered chunk by chunk while the loss is computed.

    At most CHUNK x N logits exist at a time, in buffers that are used again, and they are computed once (cf. Cut
    Cross-Entropy, arXiv 2411.09009). Matrix products are done in `dtype`, sums in float32.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_PD: Tensor,
        items_ND: Tensor,
        biases_N: Tensor,
        targets_P: Tensor,
        weights_P: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        grad_x, grad_items = torch.empty_like(x_PD), torch.zeros_like(items_ND)
        grad_biases = torch.zeros_like(biases_N)
        total = x_PD.new_zeros(())
        rows, items, biases = x_PD.to(dtype), items_ND.to(dtype), biases_N.to(dtype)
        low = x_PD.new_empty(min(CHUNK, len(x_PD)), len(items), dtype=dtype)
        high = low if dtype == torch.float32 else torch.empty_like(low, dtype=torch.float32)
        for start in range(0, len(x_PD), CHUNK):
            x, targets = rows[start : start + CHUNK], targets_P[start : start + CHUNK, None]
            logits = torch.addmm(biases, x, items.T, out=low[: len(x)])
            own = logits.gather(1, targets).float()
            peak = logits.amax(dim=1, keepdim=True).float()
            weights = torch.softmax(logits, dim=1, dtype=torch.float32, out=high[: len(x)])
            # the sum of exponentials is what the largest weight is one over
            losses = peak - weights.amax(dim=1, keepdim=True).log() - own
            weights.scatter_add_(1, targets, torch.full_like(own, -1.0))
            if weights_P is not None:
                each = weights_P[start : start + CHUNK, None]
                losses, weights = losses * each, weights.mul_(each)
            total += losses.sum()
            grad_biases += weights.sum(dim=0)
            weights = weights if dtype == torch.float32 else low[: len(x)].copy_(weights)
            grad_x[start : start + CHUNK] = weights @ items
            grad_items += weights.T @ x
        ctx.save_for_backward(grad_x, grad_items, grad_biases)
        ctx.count = max(len(x_PD), 1)
        return total / ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        scale = grad / ctx.count
        return *(saved * scale for saved in ctx.saved_tensors), None, None, None


def full_softmax_loss(
    x_PD: Tensor, items_ND: Tensor, biases_N: Tensor, targets_P: Tensor, weights_P: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy over all N items, computed in chunks of positions.

    Under autocast to bfloat16 the matrix products are done in it; the sums are float32 always.

    Args:
        x_PD: States.
        items_ND: Item embeddings.
        biases_N: Item biases; -inf leaves an item out.
        targets_P: int64, row of `items_ND` that is right.
        weights_P: float32, what each position counts in the mean; None: 1.
    """
    dtype = product_dtype(x_PD.device)
    with torch.autocast(x_PD.device.type, enabled=False):
        return _ChunkedCrossEntropy.apply(x_PD.float(), items_ND.float(), biases_N.float(), targets_P, weights_P, dtype)


def product_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where autocast asks for it, else float32: float16 cannot hold the small weights of a softmax."""
    if torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16:
        return torch.bfloat16
    return torch.float32


def sampled_softmax_loss(
    own_PK: Tensor, shared_PS: Tensor, log_counts_S: Tensor, known_PS: Tensor, weights_P: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of each position's first own item against its other own items and S sampled negatives.

    A negative stands for 1 / expected count items of its kind (logQ, Bengio & Senecal 2008), so that the negatives
    estimate the sum over the catalog; own items, always present, are not corrected. Negatives that are among a
    position's own items are masked. `weights_P` is what each position counts in the mean.
    """
    negatives = (shared_PS - log_counts_S).masked_fill(known_PS, -torch.inf)
    logits = torch.cat([own_PK, negatives], dim=1)
    right = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    if weights_P is None:
        return cross_entropy(logits.float(), right)
    return (cross_entropy(logits.float(), right, reduction="none") * weights_P).mean()


def bce_loss(target_logits_P: Tensor, logits_PS: Tensor, hits_PS: Tensor) -> Tensor:
    """Binary cross-entropy: the target is 1; the mean over the sampled negatives that are not the target is 0."""
    positive = binary_cross_entropy_with_logits(target_logits_P, torch.ones_like(target_logits_P))
    each = binary_cross_entropy_with_logits(logits_PS, torch.zeros_like(logits_PS), reduction="none")
    kept = ~hits_PS
    return positive + (each * kept).sum() / kept.sum().clamp(min=1)
