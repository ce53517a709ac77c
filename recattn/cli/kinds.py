"""Features, baselines and metrics from what options can say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.errors import ConfigError, nearest
from recattn.kinds import make
from recattn.schema import check_k

if TYPE_CHECKING:
    import pandas as pd

    from recattn.baselines.base import Baseline
    from recattn.evaluation.evaluate import Metric

Spec = str | dict[str, Any]
BIAS = ("gini", "average_popularity", "novelty")  # towards what is popular
NEEDS = {"popularity": ("average_popularity", "novelty"), "features": ("intra_list_diversity",)}
_TOLD = {
    "popularity": "the interactions of each item: give --popularity FILE",
    "features": "what items are like: give --items FILE and --diversity_column NAME",
}


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


def metrics(
    names: Sequence[str],
    ks: Sequence[int],
    *,
    popularity: pd.Series | None = None,
    features: pd.Series | None = None,
) -> list[Metric]:
    """Every metric at every k.

    Args:
        names: Of `ndcg`, `recall`, `hit_rate`, `precision`, `mrr`, `map`, `coverage`, `gini`, `average_popularity`,
            `novelty`, `intra_list_diversity`.
        ks: Places of a list that count.
        popularity: Interactions by item, for `average_popularity` and `novelty`.
        features: Categories by item, for `intra_list_diversity`.
    """
    facts = {"popularity": popularity, "features": features}
    check_metrics(names, ks, [fact for fact, value in facts.items() if value is not None])
    kinds = _metric_kinds()
    needed = {name: {fact: facts[fact] for fact, needy in NEEDS.items() if name in needy} for name in names}
    return [kinds[name](k, **needed[name]) for name in names for k in ks]


def check_metrics(names: Sequence[str], ks: Sequence[int], facts: Collection[str]) -> None:
    """ConfigError for names of no metric, those that need a fact which is not among `facts`, and impossible k."""
    kinds = _metric_kinds()
    for name in names:
        if name not in kinds:
            raise ConfigError(f"metrics has no kind {name!r}.{nearest(name, kinds)} There are: {', '.join(kinds)}.")
        for fact, needy in NEEDS.items():
            if name in needy and fact not in facts:
                raise ConfigError(f"{name} needs {_TOLD[fact]}.")
    for k in ks:
        check_k(k)


def _metric_kinds() -> dict[str, Callable[..., Metric]]:
    from recattn import evaluation as e

    kinds = (
        *(e.NDCG, e.Recall, e.HitRate, e.Precision, e.MRR, e.MAP, e.Coverage),
        *(e.Gini, e.AveragePopularity, e.Novelty, e.IntraListDiversity),
    )
    return {kind.stem: kind for kind in kinds}
