"""One attention head over all prefixes of windows, by running sums, from scores to gradients."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class HeadGradient(NamedTuple):
    """Gradients by what `RunningHead` was made of and looked at, in their shapes."""

    queries: Tensor
    readouts: Tensor
    keys: Tensor
    values: Tensor
    null_logits: Tensor
    null_outputs: Tensor
    gains: Tensor
    shifts: Tensor


class RunningHead:
    """One head over G windows, from scores to gradients."""

    def __init__(
        self,
        queries_SK: Tensor,
        readouts_SK: Tensor,
        keys_GTK: Tensor,
        values_GTK: Tensor,
        null_S: Tensor,
        out_S: Tensor,
    ) -> None:
        self.queries, self.readouts = queries_SK, readouts_SK
        self.keys, self.values = keys_GTK.flatten(0, 1), values_GTK.flatten(0, 1)
        self.null, self.out = null_S[:, None, None], out_S[:, None, None]
        self.shape = keys_GTK.shape[:2]

    def look(self, gains_GT: Tensor, shifts_GQ: Tensor, ends_GQ: Tensor, alone_GQ: Tensor, block: int) -> Tensor:
        """What the candidates find at each position, [S, G, Q]."""
        self.sums = RunningSums(gains_GT, ends_GQ, block)
        self.weights = torch.mm(self.queries, self.keys.T).float().unflatten(1, self.shape)
        self.weights.add_(gains_GT - self.sums.references_GT).exp_()
        self.matches = torch.mm(self.readouts, self.values.T).float().unflatten(1, self.shape)
        self.null_weights = (self.null + (shifts_GQ - self.sums.references_GQ).masked_fill(alone_GQ, 0.0)).exp_()
        self.totals = self.sums.forward(self.weights).add_(self.null_weights)
        found = self.sums.forward(self.weights * self.matches).addcmul_(self.null_weights, self.out)
        self.found = found.div_(self.totals)
        return self.found

    def gather(self, grad_SGQ: Tensor) -> HeadGradient:
        """Gradients of everything, given that of what was found."""
        top = grad_SGQ / self.totals
        through = top * self.found
        null = (top * self.out).sub_(through).mul_(self.null_weights)
        null_outputs = (top * self.null_weights).sum(dim=(1, 2))
        matches = self.sums.backward(top)
        logits = (matches * self.matches).sub_(self.sums.backward(through)).mul_(self.weights)
        matches.mul_(self.weights)
        dtype = self.queries.dtype
        gains = logits.sum(dim=0)
        matches, logits = (part.flatten(1).to(dtype) for part in (matches, logits))
        return HeadGradient(
            queries=torch.mm(logits, self.keys),
            readouts=torch.mm(matches, self.values),
            keys=torch.mm(logits.T, self.queries).unflatten(0, self.shape),
            values=torch.mm(matches.T, self.readouts).unflatten(0, self.shape),
            null_logits=null.sum(dim=(1, 2)),
            null_outputs=null_outputs,
            gains=gains,
            shifts=null.sum(dim=0),
        )


class RunningSums:
    """Sums over the first `ends` of T terms whose scale changes from block to block.

    A term of block b is given in units of exp(reference_b), the running maximum of the gains; the sums of a block
    are in its own unit, to which what came before is brought.
    """

    def __init__(self, gains_GT: Tensor, ends_GQ: Tensor, block: int) -> None:
        length = gains_GT.shape[1]
        self.starts = range(0, length, block)
        self.block = block
        peaks = torch.stack([gains_GT[:, start : start + block].amax(dim=1) for start in self.starts], dim=1)
        peaks = peaks.cummax(dim=1).values.nan_to_num(neginf=0.0)
        self.fall = (peaks[:, :-1] - peaks[:, 1:]).exp()  # [G, blocks - 1]
        self.references_GT = peaks.repeat_interleave(block, dim=1)[:, :length]
        self.references_GQ = self.references_GT.gather(1, (ends_GQ - 1).clamp(min=0))
        count = ends_GQ.shape[1]
        first = int(ends_GQ[0, 0])
        straight = torch.arange(first, first + count, device=ends_GQ.device)
        self.straight = slice(first, first + count) if bool((ends_GQ == straight).all()) else None
        self.ends = ends_GQ

    def forward(self, terms_SGT: Tensor) -> Tensor:
        """[S, G, Q]."""
        count, windows, length = terms_SGT.shape
        sums = terms_SGT.new_empty(count, windows, length + 1)
        sums[:, :, 0] = 0
        for number, start in enumerate(self.starts):
            stop = min(start + self.block, length)
            part = torch.cumsum(terms_SGT[:, :, start:stop], dim=2, out=sums[:, :, start + 1 : stop + 1])
            if number:
                part += (sums[:, :, start] * self.fall[:, number - 1]).unsqueeze(2)
        if self.straight is not None:
            return sums[:, :, self.straight]
        return sums.gather(2, self.ends.expand(count, -1, -1))

    def backward(self, grad_SGQ: Tensor) -> Tensor:
        """Gradient of the terms [S, G, T], given that of the sums."""
        count, windows, length = len(grad_SGQ), *self.references_GT.shape
        if self.straight is not None and self.straight == slice(1, length + 1):
            sums = grad_SGQ
        else:
            sums = grad_SGQ.new_zeros(count, windows, length + 1)
            if self.straight is not None:
                sums[:, :, self.straight] = grad_SGQ
            else:
                sums.scatter_add_(2, self.ends.expand(count, -1, -1), grad_SGQ)
            sums = sums[:, :, 1:]
        terms = grad_SGQ.new_empty(count, windows, length)
        later = None
        for number, start in reversed(list(enumerate(self.starts))):
            part = sums[:, :, start : start + self.block].flip(2).cumsum(dim=2)
            if later is not None:
                part += later
            terms[:, :, start : start + self.block] = part.flip(2)
            later = part[:, :, -1:] * self.fall[:, number - 1, None] if number else None
        return terms
