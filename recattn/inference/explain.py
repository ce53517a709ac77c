"""What moved a score: each past interaction masked in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from recattn.batching.assemble import Assembler
from recattn.dataset.requests import Requests
from recattn.inference.explain_falls import score_falls
from recattn.inference.pieces import cut, padded
from recattn.inference.predictor import MOST, Predictor, to_device
from recattn.schema.columns import ITEM, POSITION, RANK, SCORE, TIME, USER

BUDGET = 12 * 2**20  # floats alive at a time: less than for scores, since smaller steps were a tenth faster
AT_ONCE = 16  # neighbouring places masked in one go: what lies before them is shared


class Falls(NamedTuple):
    """Scores of P requests, and what each loses without one interaction (positive: the interaction helped)."""

    requests: Requests
    firsts: np.ndarray  # int64 [P], the store's row of the first place
    lengths: np.ndarray  # int64 [P], places that are real
    scores: np.ndarray  # float32 [P, C]
    falls: np.ndarray  # float32 [P, T, C]


def explanations(
    predictor: Predictor, assembler: Assembler, requests: Requests, slate: pd.DataFrame, top: int
) -> pd.DataFrame:
    """For every slate row the `top` interactions whose masking changes its score most, largest change first.

    Equal changes: the later interaction first. Rows without a score or without history have no line.
    """
    store = assembler.store
    parts = [_largest(found, top) for found in all_falls(predictor, assembler, requests)]
    empty = (np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    columns = zip((*empty, np.zeros(0, np.float32), np.zeros(0, np.int64)), *parts, strict=True)
    row, score, rank, place, change, position = (np.concatenate(column) for column in columns)
    order = np.lexsort((rank, row))
    row, place = row[order], place[order]
    frame: dict[str, Any] = {
        "row": row,
        USER: slate[USER].to_numpy()[row],
        ITEM: slate[ITEM].to_numpy()[row],
        SCORE: score[order],
        RANK: rank[order],
        f"history_{ITEM}": store.item_vocabulary.decode(store.items[place]),
    }
    if store.times is not None:
        frame[f"history_{TIME}"] = store.times[place]
    return pd.DataFrame(frame | {f"history_{POSITION}": position[order], "change": change[order]})


def _largest(found: Falls, top: int) -> tuple[np.ndarray, ...]:
    """Of the `top` largest changes of each candidate: slate rows, scores, ranks, store rows, changes, positions."""
    requests = found.requests
    assert requests.offsets is not None
    assert requests.candidates is not None
    assert requests.rows is not None
    real = np.arange(found.falls.shape[1]) < found.lengths[:, None]
    sizes = np.where(real[..., None], np.abs(found.falls), -1.0)[:, ::-1]  # latest first
    order = sizes.shape[1] - 1 - np.argsort(-sizes, axis=1, kind="stable")[:, :top]
    changes = np.take_along_axis(found.falls, order, axis=1)
    codes, cells = padded(requests)
    kept = (codes > 0)[:, None] & (np.arange(order.shape[1]) < found.lengths[:, None])[..., None]
    piece, rank, column = np.nonzero(kept)
    return (
        requests.rows[cells[piece, column]],
        found.scores[piece, column],
        rank + 1,
        found.firsts[piece] + order[kept],
        changes[kept],
        (found.firsts - requests.starts)[piece] + order[kept],
    )


def maskings(
    predictor: Predictor, assembler: Assembler, requests: Requests
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each request: the store rows int64 [n] it looks at, its scores float32 [C], and their falls float32 [n, C].

    A fall is the score minus the score with that one interaction masked everywhere: as key, as value and in the
    encoder. Places, gaps and ages of the others stay. Positive: the interaction helped.
    """
    for x in range(len(requests)):
        parts = list(all_falls(predictor, assembler, requests.take(np.array([x])), with_empty=True))
        scores = np.concatenate([part.scores[0] for part in parts])
        falls = np.concatenate([part.falls[0, : part.lengths[0]] for part in parts], axis=1)
        yield parts[0].firsts[0] + np.arange(parts[0].lengths[0]), scores, falls


def all_falls(
    predictor: Predictor, assembler: Assembler, requests: Requests, *, with_empty: bool = False
) -> Iterator[Falls]:
    """The falls of all candidates, of requests of similar length together and as many as the budget holds.

    A request with very many candidates comes in several pieces. Those without history come only `with_empty`.
    """
    config = predictor.scorer.config
    lengths = np.minimum(requests.lengths, config.max_history)
    pieces, owners = cut(requests, np.maximum(BUDGET // (8 * np.maximum(lengths, 1)), 1))
    assert pieces.offsets is not None
    lengths, counts = lengths[owners], np.diff(pieces.offsets)
    order = np.lexsort((counts, lengths))
    order = order[(counts[order] > 0) & ((lengths[order] > 0) | with_empty)]
    start = 0
    while start < len(order):
        window = order[start : start + MOST]
        size, at_once = _affordable(predictor, lengths[window], counts[window])
        rows = window[:size]
        part = pieces.take(rows)
        with predictor.ready():  # not around the yield: who takes the falls may compute gradients
            batch = to_device(assembler.requests(part), predictor.device)
            scores, falls = (x.float().cpu().numpy() for x in score_falls(predictor.scorer, batch, at_once, BUDGET))
        firsts = np.maximum(part.starts, part.stops - config.max_history)
        yield Falls(part, firsts, lengths[rows], scores, falls)
        start += size


def _affordable(predictor: Predictor, lengths: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    """How many of these requests, padded to the longest of them, fit the budget, with how many places at once."""
    config = predictor.scorer.config
    lengths, counts = np.maximum.accumulate(lengths), np.maximum.accumulate(counts)
    masking = lengths * (16 * config.dim + 2 * config.num_heads * lengths)
    masking += 8 * config.dim * counts if config.has_heads else 0
    memory = 0 if predictor.scorer.memory is None else 6 * len(predictor.table)
    request = (8 * config.dim + 4 * lengths) * counts + masking + memory
    at_once = int(np.clip(BUDGET // max(masking[0], 1), 1, AT_ONCE))
    floats = np.arange(1, len(lengths) + 1) * (at_once * masking + request)
    return max(1, int(np.searchsorted(floats, BUDGET, side="right"))), at_once
