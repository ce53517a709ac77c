"""Requests with very many candidates, cut so that no batch of the scorer outgrows its budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recattn.dataset.requests import Requests


def split_requests(requests: Requests, most: int) -> Requests:
    """The same candidates in the same order, none of the requests with more than `most` of them.

    A score does not depend on the other candidates, so that the pieces of a request have the scores of the whole.
    """
    assert requests.offsets is not None
    counts = np.diff(requests.offsets)
    pieces = np.maximum(-(-counts // most), 1)
    if (pieces == 1).all():
        return requests
    rows = np.repeat(np.arange(len(requests)), pieces)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    offsets = np.append(requests.offsets[:-1][rows] + nth * most, requests.offsets[-1])
    return replace(replace(requests, offsets=None).take(rows), offsets=offsets.astype(np.int64))
