"""Weights of a fitted model for a new catalog."""

from __future__ import annotations

import torch
from torch import Tensor

from recattn.config import FeatureSpec
from recattn.dataset.features import FittedFeatures
from recattn.errors import ConfigError
from recattn.inference.model import Blueprint, FittedModel
from recattn.nn.scorer import Scorer


def warm_scorer(known: FittedModel, plan: Blueprint) -> Scorer:
    """A scorer for `plan` with the weights of `known`, item by item and value by value; new ones start fresh.

    Raises:
        ConfigError: The scorers differ in more than their catalogs.
    """
    if known.blueprint.config != plan.config:
        raise ConfigError("warm_start needs the ModelConfig the model was fitted with. Set warm_start=False.")
    if _specs(known.blueprint) != _specs(plan):
        raise ConfigError("warm_start needs the features the model was fitted with. Set warm_start=False.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.train.seed)
        scorer = plan.build()
    old, new = known.scorer.state_dict(), scorer.state_dict()
    rows = _rows(known.blueprint, plan)
    for name, places in rows.items():
        if name in old and name in new:
            _copy_rows(old[name], new[name], places)
    for name in new:
        if name in rows or name.startswith("memory.tables."):  # which are counted anew
            continue
        if name not in old or old[name].shape != new[name].shape:
            raise ConfigError("warm_start needs the features the model was fitted with. Set warm_start=False.")
        new[name].copy_(old[name])
    scorer.load_state_dict(new)
    return scorer


def _specs(plan: Blueprint) -> tuple[tuple[FeatureSpec, ...], ...]:
    return plan.table.fitted.specs, plan.users.specs, plan.context.specs


def _rows(known: Blueprint, plan: Blueprint) -> dict[str, tuple[Tensor, Tensor]]:
    """For each table of embeddings: rows (old, new) that mean the same."""
    codes = torch.from_numpy(known.table.vocabulary.encode(plan.table.vocabulary.ids)).long()
    old_ids = torch.from_numpy(known.table.id_row).long()[codes.clamp(min=0)]
    new_ids = torch.from_numpy(plan.table.id_row).long()[1:]
    same = (codes > 0) & (old_ids > 1) & (new_ids > 1)
    cold = torch.tensor([1])
    items = (torch.cat([cold, old_ids[same]]), torch.cat([cold, new_ids[same]]))
    rows = dict.fromkeys(("items.ids.weight", "items.bias.weight", "items.attention_ids.weight"), items)
    pairs = (("items.encoder", known.table.fitted, plan.table.fitted), ("user", known.users, plan.users))
    for prefix, old, new in (*pairs, ("context", known.context, plan.context)):
        rows |= _value_rows(prefix, old, new)
    if known.behaviours is not None and plan.behaviours is not None:
        places = torch.from_numpy(known.behaviours.encode(plan.behaviours.ids)).long()
        there = places > 0
        zero = torch.tensor([0])
        behaviours = torch.cat([zero, places[there]]), torch.cat([zero, 1 + torch.nonzero(there).squeeze(1)])
        rows["history.behaviour.weight"] = behaviours
    return rows


def _value_rows(prefix: str, old: FittedFeatures, new: FittedFeatures) -> dict[str, tuple[Tensor, Tensor]]:
    rows = {}
    kinds: dict[str, int] = {}
    for before, after in zip(old.features, new.features, strict=False):
        kind = type(after.spec).__name__.lower()
        if kind == "numeric":
            continue
        number = kinds.get(kind, 0)
        kinds[kind] = number + 1
        known = {value: place for place, value in enumerate(before.values, start=2)}
        pairs = [(0, 0), *((known[v], place) for place, v in enumerate(after.values, start=2) if v in known)]
        places = torch.tensor(pairs).T
        rows[f"{prefix}.{kind}.{number}.weight"] = (places[0], places[1])
    return rows


def _copy_rows(old: Tensor, new: Tensor, places: tuple[Tensor, Tensor]) -> None:
    new[places[1]] = old[places[0]].to(new.dtype)
