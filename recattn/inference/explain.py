"""What moved a score: each past interaction masked in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recattn.batching.assemble import Assembler
from recattn.batching.batch import FeatureBatch, RequestBatch
from recattn.dataset.requests import Requests
from recattn.inference.predictor import Predictor, to_device
from recattn.schema.columns import ITEM, RANK, SCORE, TIME, USER

MASKINGS = 256  # histories encoded at a time


def explanations(
    predictor: Predictor, assembler: Assembler, requests: Requests, slate: pd.DataFrame, top: int
) -> pd.DataFrame:
    """For every slate row the `top` interactions whose masking changes its score most, largest change first.

    Equal changes: the later interaction first. Rows without a score or without history have no line.
    """
    assert requests.offsets is not None
    assert requests.candidates is not None
    assert requests.rows is not None
    store, lines = assembler.store, []
    for x, (seen, whole, falls) in enumerate(maskings(predictor, assembler, requests)):
        begin = requests.offsets[x]
        for column in np.flatnonzero(requests.candidates[begin : requests.offsets[x + 1]] > 0):
            latest_first = np.arange(len(seen))[::-1]
            order = latest_first[np.argsort(-np.abs(falls[latest_first, column]), kind="stable")][:top]
            row = requests.rows[begin + column]
            lines += [(row, whole[column], rank, seen[i], falls[i, column]) for rank, i in enumerate(order, start=1)]
    lines.sort(key=lambda line: (line[0], line[2]))
    row, score, rank, place, change = (np.array(values) for values in zip(*lines, strict=True)) if lines else [[]] * 5
    row, place = np.asarray(row, dtype=np.int64), np.asarray(place, dtype=np.int64)
    columns: dict[str, Any] = {
        "row": row,
        USER: slate[USER].to_numpy()[row],
        ITEM: slate[ITEM].to_numpy()[row],
        SCORE: np.asarray(score, dtype=np.float32),
        RANK: np.asarray(rank, dtype=np.int64),
        f"history_{ITEM}": store.item_vocabulary.decode(store.items[place]),
    }
    if store.times is not None:
        columns[f"history_{TIME}"] = store.times[place]
    return pd.DataFrame(columns | {"change": np.asarray(change, dtype=np.float32)})


def maskings(
    predictor: Predictor, assembler: Assembler, requests: Requests
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each request: the store rows int64 [n] it looks at, its scores float32 [C], and their falls float32 [n, C].

    A fall is the score minus the score with that one interaction masked everywhere: as key, as value and in the
    encoder. Places, gaps and ages of the others stay. Positive: the interaction helped.
    """
    with predictor.ready():
        for x in range(len(requests)):
            part = requests.take(np.array([x]))
            batch = to_device(assembler.requests(part), predictor.device)
            first = max(int(part.starts[0]), int(part.stops[0]) - assembler.config.max_history)
            rows = np.arange(first, int(part.stops[0]))
            whole = predictor.scorer(batch)
            falls = [
                whole - predictor.scorer(_masked(batch, start, min(MASKINGS, len(rows) - start)))
                for start in range(0, len(rows), MASKINGS)
            ]
            joined = torch.cat(falls) if falls else whole[:0]
            yield rows, whole[0].float().cpu().numpy(), joined.float().cpu().numpy()


def _masked(batch: RequestBatch, start: int, count: int) -> RequestBatch:
    """`count` copies of a batch of one; copy i has interaction `start + i` masked."""

    def repeated(value: Tensor | None) -> Any:
        return None if value is None else value.expand(count, *value.shape[1:])

    history = type(batch.history)(*map(repeated, batch.history))
    mask = history.mask.clone()
    places = torch.arange(count, device=mask.device)
    mask[places, start + places] = False
    return RequestBatch(
        history=history._replace(mask=mask),
        query_times=repeated(batch.query_times),
        candidates=repeated(batch.candidates),
        candidate_mask=repeated(batch.candidate_mask),
        user=_repeated_features(batch.user, count),
        context=_repeated_features(batch.context, count),
    )


def _repeated_features(features: FeatureBatch | None, count: int) -> FeatureBatch | None:
    if features is None:
        return None
    steps = torch.arange(count + 1, device=features.numeric.device)
    return FeatureBatch(
        categorical=features.categorical.expand(count, -1),
        multi_values=tuple(values.repeat(count) for values in features.multi_values),
        multi_offsets=tuple(steps * values.numel() for values in features.multi_values),
        numeric=features.numeric.expand(count, -1),
    )
