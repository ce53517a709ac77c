"""The exit door: from codes to frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recattn.dataset.requests import Requests
from recattn.dataset.vocabulary import Vocabulary
from recattn.schema.columns import ITEM, PROBABILITY, RANK, REASON, REQUEST, SCORE, USER

UNKNOWN_ITEM = "unknown_item"
NO_HISTORY = "no_history"


def recommendations_frame(
    requests: Requests,
    codes: np.ndarray,
    scores: np.ndarray,
    vocabulary: Vocabulary,
    *,
    with_request_id: bool,
) -> pd.DataFrame:
    """`[request_id,] user_id, item_id, score, rank` by request, then rank.

    Args:
        requests: X requests.
        codes: int [X, k], best first; 0 where a request has fewer than k candidates.
        scores: float32 [X, k].
        vocabulary: Item codes to ids.
        with_request_id: Whether the frame names the request.
    """
    rows, columns = np.nonzero(codes > 0)
    frame = {REQUEST: requests.request_ids[rows]} if with_request_id else {}
    return pd.DataFrame(
        frame
        | {
            USER: requests.user_ids[rows],
            ITEM: vocabulary.decode(codes[rows, columns]),
            SCORE: scores[rows, columns].astype(np.float32),
            RANK: (columns + 1).astype(np.int64),
        }
    )


def scores_frame(
    slate: pd.DataFrame, requests: Requests, scores: np.ndarray, probabilities: np.ndarray | None = None
) -> pd.DataFrame:
    """The slate's rows, in order, with `score` (`probability`), and `reason` where there is something to say.

    `unknown_item`: no score (NaN). `no_history`: scored without any visible interaction.

    Args:
        slate: The frame the requests were made from; it is not changed.
        requests: Its requests.
        scores: float32 [M], in the order of `requests.candidates`.
        probabilities: float32 [M], likewise, or None.
    """
    assert requests.offsets is not None
    assert requests.candidates is not None
    assert requests.rows is not None
    empty = np.repeat(requests.lengths == 0, np.diff(requests.offsets))
    known = requests.candidates > 0
    reasons = np.select([~known, empty], [UNKNOWN_ITEM, NO_HISTORY], default="").astype(object)
    reasons[reasons == ""] = None
    places = np.argsort(requests.rows)
    columns = {SCORE: np.where(known, scores, np.nan).astype(np.float32)}
    if probabilities is not None:
        columns[PROBABILITY] = np.where(known, probabilities, np.nan).astype(np.float32)
    columns[REASON] = reasons
    return slate.assign(**{name: values[places] for name, values in columns.items()})
