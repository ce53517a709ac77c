"""What scores are sums of, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recattn.batching.assemble import Assembler
from recattn.batching.batch import RequestBatch
from recattn.dataset.requests import Requests
from recattn.inference.pieces import cut, padded
from recattn.inference.predictor import BUDGET, MOST, Predictor, to_device
from recattn.nn.attention import Keys, split_heads
from recattn.nn.scorer import Prefixes, Scorer
from recattn.schema.columns import ITEM, SCORE, TIME, USER

NAMES = ("state", "features", "bias", "attention", "transitions", "deep")
NOTHING = -1  # the place of the null pair, and of terms without an interaction


class Term(NamedTuple):
    """One addend of the scores of P requests with C candidates: n of each, of so many heads and interactions."""

    name: str
    values: Tensor  # float [P, C, n]
    numbers: np.ndarray | None = None  # int64 [n], of the head or the table, from 1
    places: np.ndarray | None = None  # int64 [n] in the history, or NOTHING
    weights: Tensor | None = None  # float [P, C, n], of attention


class Lines(NamedTuple):
    """Addends one after another, each column [L]."""

    row: np.ndarray  # int64, of the slate
    score: np.ndarray  # float32
    term: np.ndarray  # int64, its place in NAMES
    number: np.ndarray  # int64, of the head or the table, from 1; else 0
    place: np.ndarray  # int64, the store's row of the interaction, or NOTHING
    weight: np.ndarray  # float32, NaN where it is not about attention
    value: np.ndarray  # float32


def parts_frame(predictor: Predictor, assembler: Assembler, requests: Requests, slate: pd.DataFrame) -> pd.DataFrame:
    """One line an addend of a row's score; see `Recommender.parts`. Rows without a score have none."""
    store, none = assembler.store, np.zeros(0, np.int64)
    empty = Lines(none, none.astype(np.float32), none, none, none, none.astype(np.float32), none.astype(np.float32))
    parts = [empty, *all_parts(predictor, assembler, requests)]
    joined = Lines(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.lexsort((joined.term, joined.row))
    lines = Lines(*(column[order] for column in joined))
    about = lines.place != NOTHING
    frame: dict[str, Any] = {
        "row": lines.row,
        USER: slate[USER].to_numpy()[lines.row],
        ITEM: slate[ITEM].to_numpy()[lines.row],
        SCORE: lines.score,
        "term": pd.Series(np.array(NAMES)[lines.term], dtype=str),
        "head": _integers(lines.number, lines.term == NAMES.index("attention")),
        "table": _integers(lines.number, lines.term == NAMES.index("transitions")),
        f"history_{ITEM}": _spread(store.item_vocabulary.decode(store.items[lines.place[about]]), about),
    }
    if store.times is not None:
        frame[f"history_{TIME}"] = _spread(store.times[lines.place[about]], about)
    return pd.DataFrame(frame | {"weight": lines.weight, "value": lines.value})


def all_parts(predictor: Predictor, assembler: Assembler, requests: Requests) -> Iterator[Lines]:
    """The addends of all requests, piece by piece, each within the budget."""
    config, memory = predictor.scorer.config, predictor.scorer.memory
    lengths = np.minimum(requests.lengths, config.max_history)
    cells = 8 * config.dim + 4 * config.num_heads * (1 + lengths)
    pieces, owners = cut(requests, np.maximum(BUDGET // (2 * cells), 1))
    assert pieces.offsets is not None
    lengths, counts = lengths[owners], np.diff(pieces.offsets)
    order = np.lexsort((counts, lengths))
    start = 0
    while start < len(order):
        window = order[start : start + MOST]
        longest, most = (np.maximum.accumulate(sizes[window]) for sizes in (lengths, counts))
        floats = most * (8 * config.dim + 4 * config.num_heads * (1 + longest))
        floats += longest * (16 * config.dim + 2 * config.num_heads * longest)
        floats += 0 if memory is None else 12 * len(predictor.table)
        fitting = np.searchsorted(np.arange(1, len(window) + 1) * floats, BUDGET, side="right")
        part = pieces.take(window[: max(1, int(fitting))])
        with predictor.ready():
            found = score_parts(predictor.scorer, to_device(assembler.requests(part), predictor.device))
            lines = _lines(part, config.max_history, *found)
        yield lines
        start += len(part)


def score_parts(scorer: Scorer, batch: RequestBatch) -> tuple[Tensor, list[Term]]:
    """Scores [B, C] of a batch with candidates [B, C], and their addends."""
    assert batch.candidates is not None
    prefixes, codes = scorer.requests(batch, remember=False), batch.candidates
    items, biases = scorer.candidates(codes), scorer.items.biases(codes)
    content, states, extra = scorer.content(items), prefixes.states_RD, prefixes.extra_RD
    nothing = torch.zeros_like(biases)
    terms = [Term("state", scorer.retrieval(states if extra is None else states - extra, content, nothing)[..., None])]
    if extra is not None:
        terms.append(Term("features", scorer.retrieval(extra, content, nothing)[..., None]))
    terms.append(Term("bias", biases[..., None]))
    scores = scorer.score(prefixes, items, biases)
    if prefixes.attention_keys is not None:
        terms.append(_attention(scorer, prefixes, items))
    if scorer.memory is not None:
        view = prefixes.view
        found = scorer.memory.matches(batch.history.items, view.rows, view.mask, view.ages)
        found = scorer.memory.weights[:, None, None] * found.gather(2, codes.expand(len(found), -1, -1))
        scores = scores + found.sum(dim=0)
        terms.append(Term("transitions", found.movedim(0, 2), np.arange(1, len(found) + 1)))
    if prefixes.deep_keys:
        terms.append(Term("deep", scorer.deep_term(prefixes, content)[..., None]))
    return scores, terms


def _attention(scorer: Scorer, prefixes: Prefixes, items: Tensor) -> Term:
    """weight_chi (v_hi . U_h Norm e_c) by head and interaction, the null pair first."""
    assert scorer.attention is not None
    assert scorer.attention_out is not None
    assert prefixes.attention_keys is not None
    keys, values = prefixes.attention_keys
    heads, length = values.shape[1:3]
    queried, content = scorer.asked(items)
    single = torch.eye(length, device=values.device, dtype=values.dtype).expand(*values.shape[:2], -1, -1)
    weights = scorer.attention(queried, Keys(keys, single), prefixes.view)  # attention is linear in its values
    readouts_BHSK = split_heads(scorer.attention_out(content), heads)
    worth = (readouts_BHSK @ values.transpose(-1, -2)).transpose(1, 2).flatten(2)
    numbers, places = np.divmod(np.arange(heads * length), length)
    return Term("attention", weights * worth, numbers + 1, places - 1, weights)


def _lines(part: Requests, max_history: int, scores: Tensor, terms: list[Term]) -> Lines:
    assert part.rows is not None
    codes, cells = padded(part)
    firsts, lengths = np.maximum(part.starts, part.stops - max_history), np.minimum(part.lengths, max_history)
    found, whole = [], _numpy(scores)
    for term in terms:
        size = term.values.shape[2]
        numbers = np.zeros(size, np.int64) if term.numbers is None else term.numbers
        places = np.full(size, NOTHING) if term.places is None else term.places
        request, column, n = np.nonzero((codes > 0)[..., None] & (places < lengths[:, None])[:, None])
        weights = np.full(len(n), np.nan, np.float32)
        found.append(
            Lines(
                row=part.rows[cells[request, column]],
                score=whole[request, column],
                term=np.full(len(n), NAMES.index(term.name)),
                number=numbers[n],
                place=np.where(places[n] == NOTHING, NOTHING, firsts[request] + places[n]),
                weight=weights if term.weights is None else _numpy(term.weights)[request, column, n],
                value=_numpy(term.values)[request, column, n],
            )
        )
    return Lines(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def _integers(values: np.ndarray, known: np.ndarray) -> Any:
    """Whole numbers, missing where they are not known."""
    return pd.arrays.IntegerArray(values.astype(np.int64), ~known)


def _spread(values: np.ndarray, known: np.ndarray) -> pd.Series:
    """The values at the lines that are `known`, missing elsewhere."""
    given = pd.Series(values, index=np.flatnonzero(known))
    whole: Any = "Int64" if pd.api.types.is_integer_dtype(given) else given.dtype
    return given.astype(whole).reindex(range(len(known)))
