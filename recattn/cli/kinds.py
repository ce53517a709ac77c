"""Objects from what YAML can say: a name, or a mapping with a `kind`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.errors import ConfigError, nearest

if TYPE_CHECKING:
    from recattn.baselines.base import Baseline
    from recattn.evaluation.evaluate import Metric

Spec = str | dict[str, Any]


def listed(value: str | Sequence[Any] | None) -> list[Any]:
    """What a list option holds: a list from YAML, or `a,b` from the command line; None is empty."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value or [])


def make(spec: object, kinds: Mapping[str, type], where: str) -> Any:
    """The object of `{kind: name, field: value, ...}`; a bare name is one without fields.

    `kinds` maps names to dataclasses, `where` opens the message of the ConfigError for an unknown kind or field
    (which names the nearest), a missing field, or an impossible value.
    """
    values = {"kind": spec} if isinstance(spec, str) else spec
    if not isinstance(values, Mapping) or "kind" not in values:
        raise ConfigError(f"{where} must be a mapping with a kind ({', '.join(kinds)}), got {spec!r}.")
    name = str(values["kind"])
    if name not in kinds:
        raise ConfigError(f"{where} has no kind {name!r}.{nearest(name, kinds)} There are: {', '.join(kinds)}.")
    fields = {field.name: field for field in dataclasses.fields(kinds[name])}
    given = {str(key): value for key, value in values.items() if key != "kind"}
    for key in given:
        if key not in fields:
            has = ", ".join(fields) or "no fields"
            raise ConfigError(f"{where} of kind {name!r} has no key {key!r}.{nearest(key, fields)} It has: {has}.")
    for key, field in fields.items():
        if key not in given and field.default is dataclasses.MISSING:
            raise ConfigError(f"{where} of kind {name!r} lacks {key!r}: {{kind: {name}, {key}: ...}}.")
        value, wanted = given.get(key), str(field.type)
        if key in given and wanted in ("str", "bool") and type(value).__name__ != wanted:
            raise ConfigError(f"{where} of kind {name!r}: {key} must be {wanted}, got {value!r}.")
    return kinds[name](**given)


def features(specs: Sequence[Spec], where: str) -> list[FeatureSpec]:
    """Feature specs: `{kind: categorical | multi | numeric, column: name, ...}`."""
    kinds = {"categorical": Categorical, "multi": Multi, "numeric": Numeric}
    return [make(spec, kinds, where) for spec in specs]


def baselines(specs: Sequence[Spec]) -> dict[str, Baseline]:
    """Baselines by name: `popularity`, `{kind: popularity, window: 7D}`, `item_knn`, `recency`."""
    from recattn.baselines import ItemKNN, Popularity, Recency

    kinds = {"popularity": Popularity, "item_knn": ItemKNN, "recency": Recency}
    made: dict[str, Baseline] = {}
    for spec in specs:
        values = {"kind": spec} if isinstance(spec, str) else spec
        baseline = make(values, kinds, "baselines")
        name = " ".join([str(values["kind"]), *(str(value) for key, value in values.items() if key != "kind")])
        if name in made:
            raise ConfigError(f"baselines has {name!r} twice.")
        made[name] = baseline
    return made


def metrics(names: Sequence[str], ks: Sequence[int]) -> list[Metric]:
    """Every metric at every k: `ndcg`, `recall`, `hit_rate`, `precision`, `mrr`, `coverage`."""
    from recattn.evaluation import MRR, NDCG, Coverage, HitRate, Precision, Recall

    kinds = {
        "ndcg": NDCG,
        "recall": Recall,
        "hit_rate": HitRate,
        "precision": Precision,
        "mrr": MRR,
        "coverage": Coverage,
    }
    return [make({"kind": name, "k": k}, kinds, "metrics") for name in names for k in ks]
