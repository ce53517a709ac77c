"""Requests cut so that each piece of their candidates fits a budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recattn.dataset.requests import Requests, gather_ranges


def cut(requests: Requests, most: np.ndarray) -> tuple[Requests, np.ndarray]:
    """The same with at most `most` [X] candidates a request, the others cut in several; the request of each piece.

    The candidates stay in their order, and a score does not depend on the others: pieces have the scores of the whole.
    A request without candidates has no piece.
    """
    assert requests.offsets is not None
    counts = np.diff(requests.offsets)
    cuts = -(-counts // most)
    if (cuts == 1).all():
        return requests, np.arange(len(requests))
    owners = np.repeat(np.arange(len(requests)), cuts)
    within, _ = gather_ranges(np.zeros_like(cuts), cuts)
    begins = requests.offsets[:-1][owners] + within * most[owners]
    bare = replace(requests, offsets=None, candidates=None, rows=None, labels=None, weights=None).take(owners)
    offsets = np.append(begins, requests.offsets[-1])
    return replace(bare, offsets=offsets, candidates=requests.candidates, rows=requests.rows), owners


def padded(requests: Requests) -> tuple[np.ndarray, np.ndarray]:
    """Candidate codes [P, C], 0 where there is none, and their cells."""
    assert requests.offsets is not None
    assert requests.candidates is not None
    counts = np.diff(requests.offsets)
    columns = np.arange(int(counts.max(initial=0)))
    cells = np.minimum(requests.offsets[:-1, None] + columns, len(requests.candidates) - 1)
    return np.where(columns < counts[:, None], requests.candidates[cells], 0), cells
