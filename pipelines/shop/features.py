"""The item features of a shop: what is asked for, what may be used, what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipelines.shop.columns import measured
from recattn.cli.kinds import Spec, features
from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.errors import ConfigError, listed

USUAL: Mapping[str, FeatureSpec] = {
    "categories": Multi("categories"),
    "brand": Categorical("brand"),
    "price": Numeric("price", log=True),
}


def asked_for(given: Sequence[Spec]) -> list[FeatureSpec]:
    """Features by usual name (`price`) or as `{kind: categorical, column: color}`.

    Raises:
        ConfigError: A name that is none, an unknown kind, or a column that would leak the future.
    """
    for one in given:
        column = one.get("column") if isinstance(one, Mapping) else one
        told = measured(column)
        if told is not None:
            raise ConfigError(
                f"item_features has {column!r}, which tells {told} on the day the shop's pages were read: after the "
                "interactions it would predict. It would leak the future. Leave it out; if it is fixed when an item "
                "comes on sale, rename the column."
            )
        if isinstance(one, str) and one not in USUAL:
            raise ConfigError(
                f"item_features has {one!r}; known by name are {', '.join(USUAL)}. Say what it is: "
                f"{{kind: categorical, column: {one}}} (or multi, or numeric)."
            )
    return [USUAL[one] if isinstance(one, str) else spec for one in given for spec in _specs(one)]


def _specs(one: Spec) -> list[Any]:
    return [None] if isinstance(one, str) else list(features([one], "item_features"))


def usable(asked: Sequence[FeatureSpec] | None, items: pd.DataFrame | None) -> list[FeatureSpec]:
    """The features asked for, or with None the usual ones that the items have a value of.

    Raises:
        ConfigError: Features are asked for, and there are no items or no such column.
    """
    if asked is None:
        return [] if items is None else [spec for name, spec in USUAL.items() if name in items and _any(items[name])]
    if asked and items is None:
        raise ConfigError(
            f"item_features asks for {listed([spec.column for spec in asked])}, but the folder has no items file. "
            "Add one, or pass --item_features '[]'."
        )
    for spec in asked:
        if items is not None and spec.column not in items:
            raise ConfigError(
                f"item_features asks for {spec.column!r}, which the items file has not; there are {listed(items)}."
            )
    return list(asked)


def _any(column: pd.Series) -> bool:
    """Whether any cell has a value; an empty list is none."""
    return bool(column.map(lambda cell: len(cell) > 0 if isinstance(cell, list) else not pd.isna(cell)).any())
