"""Features, baselines and metrics from what options can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.errors import ConfigError
from recattn.kinds import make

if TYPE_CHECKING:
    from recattn.baselines.base import Baseline
    from recattn.evaluation.evaluate import Metric

Spec = str | dict[str, Any]


def listed(value: str | Sequence[Any] | None) -> list[Any]:
    """What a list option holds: a list from YAML, or `a,b` from the command line; None is empty."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value or [])


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
