"""The applying of filters, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked, Users
from recattn.candidates.base import CandidateFilter, Job, bound, check_parts
from recattn.dataset.doors import History
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError
from recattn.schema import require
from recattn.schema.columns import ITEM


def filtered(
    candidates: pd.DataFrame,
    filters: Sequence[CandidateFilter],
    requests: Users,
    *,
    history: History,
    as_of: Any = None,
    catalog: Vocabulary | None = None,
) -> pd.DataFrame:
    """The rows of `candidates` that every filter keeps, in their order.

    Args:
        candidates: `item_id` with `request_id` (else `user_id`) and whatever else; all of requests in `requests`.
        filters: `Allow`, `Deny`, `Seen`, `Availability`, or anything with their `keep`.
        requests: Whom the candidates are for.
        history: Interactions; a request sees those before its moment.
        as_of: The moment of requests that name none; just after the end of the history by default.
        catalog: The items that are known, so that lists can be checked against them.
    """
    asked = Asked.of(requests, history=history, as_of=as_of)
    require(candidates, [ITEM], "candidates")
    foreign = int((asked.places(candidates) < 0).sum())
    if foreign:
        raise DataError(f"candidates has {foreign:,} rows of a {asked.key} that is not in requests.")
    check_parts(filters, CandidateFilter, "filters")
    for part in filters:
        candidates = candidates[mask_of(bound(part, Job(asked, catalog)), candidates, asked)]
    return candidates.reset_index(drop=True)


def mask_of(part: CandidateFilter, candidates: pd.DataFrame, asked: Asked) -> np.ndarray:
    """What a filter keeps, bool [n]; DataError where it answers anything else."""
    mask = np.asarray(part.keep(candidates, asked))
    if mask.dtype != bool or mask.shape != (len(candidates),):
        raise DataError(
            f"{part!r}.keep must give one True or False for each of {len(candidates):,} candidates, got "
            f"{mask.dtype} {mask.shape}."
        )
    return mask
