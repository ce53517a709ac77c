"""States of histories with an interaction masked: what lies before the masked one is computed once for all maskings.

Shape letters as in `recattn.nn.item_encoder`; V maskings, S places from the first one that a masking can change.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from recattn.batching.batch import HistoryBatch
from recattn.nn.attention import rotated, split_heads
from recattn.nn.history_encoder import Block, HistoryEncoder
from recattn.nn.scorer import Scorer


class Layer(NamedTuple):
    """What the later places of a history ask of a block of its encoder."""

    block: Block
    queries_BHTK: Tensor  # turned by their places, as are keys
    keys_BHTK: Tensor
    values_BHTK: Tensor
    bias_BHTT: Tensor | None


class Past(NamedTuple):
    """B histories without anything masked."""

    inputs_BTD: Tensor  # of the first block
    layers: tuple[Layer, ...]
    turns_TK: Tensor  # cosines and sines of the places
    states_BTD: Tensor


def unmasked(scorer: Scorer, history: HistoryBatch) -> Past:
    """The way of B histories through the encoder."""
    encoder = scorer.history
    inputs = _inputs(encoder, scorer.items(history.items), history)
    width = inputs.shape[2] // scorer.config.num_heads
    ones = (torch.arange(width, device=inputs.device) < width // 2).to(inputs.dtype)
    turns = rotated(ones.expand(1, 1, inputs.shape[1], -1))[0, 0]
    x_BTD, layers = inputs, []
    for number, block in enumerate(encoder.blocks):
        assert isinstance(block, Block)
        timed = len(encoder.biases) and history.times is not None
        bias = encoder.biases[number](history.times) if timed else None
        queries, keys, values = _projected(block, block.norm_attention(x_BTD))
        layers.append(Layer(block, _turned(queries, turns), _turned(keys, turns), values, bias))
        x_BTD = block(x_BTD, history.mask, bias)
    return Past(inputs, tuple(layers), turns, encoder.norm(x_BTD))


def masked_states(
    encoder: HistoryEncoder, past: Past, rows: Tensor, mask_VT: Tensor, first: int, last: Tensor | None = None
) -> Tensor:
    """States [V, S, D] of the places from `first` on, or [V, 1, D] of the places `last` alone.

    Args:
        encoder: The encoder, in eval mode.
        past: B histories as they are.
        rows: int64 [V], the history of each masking.
        mask_VT: What a masking leaves; as without it before `first`.
        first: The first place that is computed again.
        last: int64 [V] from `first` on; others are then left out where they serve nothing.
    """
    x_VSD, count = past.inputs_BTD[rows, first:], len(past.layers)
    for number, layer in enumerate(past.layers):
        only = last if number == count - 1 else None
        asked = torch.arange(first, mask_VT.shape[1], device=rows.device)[None] if only is None else only[:, None]
        if number:
            looks = _looks(layer, x_VSD, rows, first, past.turns_TK, asked, only)
        else:  # what enters the first block is the same for all maskings
            looks = (
                layer.queries_BHTK[rows, :, first:] if only is None else layer.queries_BHTK[rows, :, only][:, :, None],
                layer.keys_BHTK[rows],
                layer.values_BHTK[rows],
            )
        x_VSD = x_VSD if only is None else _at(x_VSD, only - first)
        found = scaled_dot_product_attention(*looks, attn_mask=_bias(layer, rows, mask_VT, asked, looks[0]))
        x_VSD = x_VSD + layer.block.attention.join(found.transpose(1, 2).flatten(2))
        x_VSD = x_VSD + layer.block.feed_forward(layer.block.norm_feed_forward(x_VSD))
    if last is not None and not count:
        x_VSD = _at(x_VSD, last - first)
    return encoder.norm(x_VSD)


def _looks(
    layer: Layer, x_VSD: Tensor, rows: Tensor, first: int, turns_TK: Tensor, asked: Tensor, only: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries of the places `asked`, keys and values of all places: those before `first` are known."""
    normed = layer.block.norm_attention(x_VSD)
    queries, keys, values = _projected(layer.block, normed, None if only is None else only - first)
    return (
        _turned(queries, turns_TK[asked][:, None]),
        torch.cat([layer.keys_BHTK[rows, :, :first], _turned(keys, turns_TK[first:])], dim=2),
        torch.cat([layer.values_BHTK[rows, :, :first], values], dim=2),
    )


def _bias(layer: Layer, rows: Tensor, mask_VT: Tensor, asked: Tensor, queries: Tensor) -> Tensor:
    """[V, H, Q, T] for the places `asked` [V or 1, Q]: what is added to logits, -inf where a place is not seen."""
    places = torch.arange(mask_VT.shape[1], device=rows.device)
    seen = (places <= asked[..., None]) & (mask_VT[:, None] | (places == asked[..., None]))
    shape = (*queries.shape[:3], len(places))
    if layer.bias_BHTT is None:
        bias = queries.new_zeros(1)
    elif len(asked) == 1:
        bias = layer.bias_BHTT[:, :, asked[0]][rows].to(queries.dtype)
    else:
        bias = layer.bias_BHTT[rows, :, asked[:, 0]][:, :, None].to(queries.dtype)
    return torch.where(seen[:, None], bias, -torch.inf).expand(shape)


def _projected(block: Block, normed: Tensor, only: Tensor | None = None) -> list[Tensor]:
    """Queries, keys and values of a block's attention [V, H, S, K]; queries of the places `only` alone, if given."""
    attention = block.attention
    if only is None:
        parts = list(attention.project(normed).chunk(3, dim=-1))
    else:
        query, rest = attention.project.weight.tensor_split([normed.shape[-1]])
        parts = [linear(_at(normed, only), query), *linear(normed, rest).chunk(2, dim=-1)]
    return [split_heads(part, attention.num_heads) for part in parts]


def _inputs(encoder: HistoryEncoder, items_BTD: Tensor, history: HistoryBatch) -> Tensor:
    """What enters the first block: the encoder's own sum of inputs, without its blocks and its norm."""
    bare = copy.copy(encoder)
    bare._modules = {**encoder._modules, "blocks": nn.ModuleList(), "norm": nn.Identity()}
    return bare(items_BTD, history)


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """`rotated`, by the cosines and sines of other places than 0, 1, ..."""
    half = x.shape[-1] // 2
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cos, sin = turns[..., :half], turns[..., half : 2 * half]
    return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], dim=-1)


def _at(x_VSD: Tensor, places: Tensor) -> Tensor:
    """[V, 1, D]"""
    return x_VSD[torch.arange(len(x_VSD), device=x_VSD.device), places][:, None]
