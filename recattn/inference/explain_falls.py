"""What scores lose when each interaction is masked, for batches of requests."""

from __future__ import annotations

import torch
from torch import Tensor

from recattn.batching.batch import HistoryBatch, RequestBatch
from recattn.inference.explain_states import Past, masked_states, unmasked
from recattn.nn.attention import Keys, View
from recattn.nn.scorer import DeepLayer, Prefixes, Scorer
from recattn.nn.transition_memory import TransitionMemory, TransitionTable


def score_falls(scorer: Scorer, batch: RequestBatch, at_once: int, cells: int) -> tuple[Tensor, Tensor]:
    """Scores [B, C], and their falls [B, T, C]: the score minus the score with one interaction masked everywhere.

    Masked as key, as value, in the encoder and in the transition memory. Places, gaps and ages of the others stay, as
    does what lies before: that much of the history is encoded once for all its maskings, as are the candidates.

    Args:
        scorer: In eval mode.
        batch: B requests with candidates [B, C].
        at_once: Neighbouring places that are masked in one go.
        cells: Most numbers that the transition memory may hold at a time.
    """
    assert batch.candidates is not None
    history, codes = batch.history, batch.candidates
    past, extra = unmasked(scorer, history), scorer.extra(batch.user, batch.context)
    everyone, ends = torch.arange(len(codes), device=codes.device), (history.items > 0).sum(dim=1)
    prefixes = scorer.prefixes(history, past.states_BTD, everyone, ends, batch.query_times, extra, remember=False)
    items, biases = scorer.candidates(codes), scorer.items.biases(codes)
    content, looks = scorer.content(items), _looks(scorer, prefixes, items)
    whole = scorer.retrieval(prefixes.states_RD, content, biases) + looks
    states = prefixes.states_RD[:, None].repeat(1, history.items.shape[1], 1)
    falls = whole.new_zeros(*history.items.shape, codes.shape[1])
    for start in range(0, history.items.shape[1], at_once):
        rows, places = history.mask[:, start : start + at_once].nonzero(as_tuple=True)
        masked = _masked(scorer, history, past, prefixes, rows, start + places, max(start - 1, 0))
        states[rows, start + places] = masked.states_RD
        if scorer.config.has_heads:
            falls[rows, start + places] = looks[rows] - _looks(scorer, masked, items[rows])
    falls += (prefixes.states_RD[:, None] - states) @ content.transpose(1, 2)
    if scorer.memory is not None:
        whole = whole + _memory_falls(scorer.memory, history.items, codes, prefixes.view, falls, cells)
    return whole, falls


def _looks(scorer: Scorer, prefixes: Prefixes, items: Tensor) -> Tensor:
    """What heads and deep layers add to the retrieval score, [R, C]."""
    found = items.new_zeros(items.shape[:2])
    if prefixes.attention_keys is not None:
        found = found + scorer.attention_term(prefixes, items)
    return found + scorer.deep_term(prefixes, scorer.content(items)) if prefixes.deep_keys else found


def _masked(
    scorer: Scorer, history: HistoryBatch, past: Past, whole: Prefixes, rows: Tensor, places: Tensor, first: int
) -> Prefixes:
    """V requests, each with the history `rows` [V] of which `places` [V] is masked; nothing changes before `first`."""
    each = torch.arange(len(rows), device=rows.device)
    view, mask = whole.view, whole.view.mask[rows]
    mask[each, places] = False
    extra = None if whole.extra_RD is None else whole.extra_RD[rows]
    view = View(rows, mask, view.ages[rows], None if view.time_ages is None else view.time_ages[rows])
    if not (scorer.config.has_heads and scorer.config.keys != "items" and past.layers):
        last = (mask * torch.arange(mask.shape[1], device=rows.device)).amax(dim=1).clamp(min=first)
        states = masked_states(scorer.history, past, rows, mask, first, last)
        found = scorer.states_at(states, each, mask.any(dim=1, keepdim=True), extra)
        return whole._replace(view=view, states_RD=found, extra_RD=extra)
    states = masked_states(scorer.history, past, rows, mask, first)
    later = HistoryBatch(history.items[rows, first:], mask[:, first:], None, None, None)
    keys = None
    if whole.attention_keys is not None:
        keys = _joined(whole.attention_keys, scorer.attention_keys(later, states), rows, first)
    deep = [layer for layer in scorer.deep if isinstance(layer, DeepLayer)]
    return Prefixes(
        view=view._replace(rows=each),
        states_RD=scorer.states_at(states, each, later.mask, extra),
        extra_RD=extra,
        attention_keys=keys,
        deep_keys=tuple(
            _joined(known, layer.keys(states), rows, first)
            for layer, known in zip(deep, whole.deep_keys, strict=bool(whole.deep_keys))
        ),
        remembered_RN=None,
    )


def _joined(known: Keys, later: Keys, rows: Tensor, first: int) -> Keys:
    """The null pair and the keys before `first` as they are, then the `later` ones."""
    parts = zip(known, later, strict=True)
    return Keys(*(torch.cat([old[rows, :, : 1 + first], new[:, :, 1:]], dim=2) for old, new in parts))


def _memory_falls(
    memory: TransitionMemory, items_BT: Tensor, codes_BC: Tensor, view: View, falls_BTC: Tensor, cells: int
) -> Tensor:
    """The memory's term [B, C]; what it loses is added to `falls`, for the last interactions: others do not look."""
    reach = max(table.reach.last for table in memory.tables if isinstance(table, TransitionTable))
    whole = memory(items_BT, view.rows, view.mask, view.ages).gather(1, codes_BC)
    looking = (view.mask & (view.ages < reach)).nonzero()
    for part in looking.split(max(1, cells // (6 * memory.num_codes))):
        rows, places = part.unbind(dim=1)
        mask = view.mask[rows]
        mask[torch.arange(len(rows), device=rows.device), places] = False
        found = memory(items_BT, rows, mask, view.ages[rows]).gather(1, codes_BC[rows])
        falls_BTC[rows, places] += whole[rows] - found
    return whole
