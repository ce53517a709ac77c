"""What shops call their columns, and which of them no honest feature can come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from recattn.errors import DataError, listed
from recattn.schema.columns import EVENT, ITEM, TIME, USER, WEIGHT

INTERACTIONS: dict[str, tuple[str, ...]] = {  # our name: theirs without case, spaces and `_`; the first found counts
    USER: ("userid", "reviewerid", "customerid", "visitorid", "clientid", "buyerid", "user", "customer", "visitor"),
    ITEM: ("itemid", "parentasin", "asin", "productid", "sku", "item", "product"),
    TIME: ("timestamp", "unixreviewtime", "ts", "time", "datetime", "eventtime", "orderdate", "createdat", "date"),
    EVENT: ("eventtype", "behavior", "behaviour", "event", "action"),
    WEIGHT: ("weight", "rating", "overall", "stars", "score", "quantity", "qty"),
}
ITEMS: dict[str, tuple[str, ...]] = {
    ITEM: INTERACTIONS[ITEM],
    "title": ("title", "name", "productname", "itemname"),
    "price": ("price", "saleprice", "unitprice"),
    "brand": ("brand", "store", "manufacturer"),
    "categories": ("categories", "category", "categorypath", "maincategory"),
    "available_from": ("availablefrom",),
}

_MEASURED = {  # words of names: what the shop had measured when its pages were read
    "its sales": "rank ranking salesrank salestype bestseller bestsellers bsr sales sold bought orders purchases views "
    "popularity",
    "its ratings": "rating ratings review reviews stars votes helpful overall score",
    "what others bought": "also alsobuy alsobought alsoview alsoviewed together boughttogether similar related",
}
_COUNTED = re.compile(
    "^(average|avg|mean|numberof|number|num|n|total|count)|(average|avg|mean|number|num|count|total)$"
)


def plain(name: object) -> str:
    """A name without case, spaces and punctuation: `sales_rank`, `salesRank` and `Sales Rank` are one."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def measured(column: object) -> str | None:
    """What a column of the items file tells of the day the pages were read (`its sales`); None where it does not."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", str(column))}
    words.add(_COUNTED.sub("", plain(column)))
    return next((what for what, telling in _MEASURED.items() if words & set(telling.split())), None)


def found(columns: Sequence[object], synonyms: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Our name to theirs, for what `columns` have of `synonyms`."""
    theirs = {plain(name): str(name) for name in reversed(list(columns))}
    every = {ours: next((theirs[one] for one in names if one in theirs), None) for ours, names in synonyms.items()}
    return {ours: one for ours, one in every.items() if one is not None}


def matched(
    columns: Sequence[object],
    synonyms: Mapping[str, Sequence[str]],
    given: Mapping[str, str],
    wanted: Sequence[str],
    where: str,
) -> dict[str, str]:
    """Our name to theirs: as `given`, else by synonym.

    Raises:
        DataError: A column of `wanted` has no synonym here, or `given` names one that is not here.
    """
    asked = {ours: theirs for ours, theirs in given.items() if ours in synonyms}
    for ours, theirs in asked.items():
        if theirs not in columns:
            raise DataError(
                f"{where} has no column {theirs!r}, which columns={{{ours}: {theirs}}} asks for; it has "
                f"{listed(columns, 20)}."
            )
    names = found([name for name in columns if name not in asked.values()], synonyms) | asked
    for ours in wanted:
        if ours not in names:
            raise DataError(
                f"{where} has no column for {ours!r}; it has {listed(columns, 20)}. Looked for "
                f"{', '.join(synonyms[ours])}. Name yours: --columns '{{{ours}: <its name>}}'."
            )
    return names


def text_ids(ids: pd.Series, where: str) -> pd.Series:
    """Ids as text, whole numbers without a point.

    Raises:
        DataError: Missing ids, or numbers with a fraction.
    """
    lost = ids.isna()
    if lost.any():
        raise DataError(f"{where}: {int(lost.sum()):,} of {len(ids):,} rows have no {ids.name}. Drop them first.")
    if pd.api.types.is_float_dtype(ids.dtype):
        broken = ids[ids % 1 != 0]
        if len(broken):
            raise DataError(f"{where}: {ids.name} holds numbers that are no ids ({listed(broken.head(3).tolist())}).")
        ids = ids.astype("int64")
    return ids.astype(str).str.strip()
