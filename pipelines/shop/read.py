"""Reading a shop's folder: reviews or orders, with the attributes of what was sold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from pipelines.shop import columns as names
from pipelines.shop.files import find_files, open_table
from pipelines.shop.values import NO_VALUE, read_categories, read_moments, read_prices, told
from recattn.errors import DataError, listed, nearest
from recattn.schema import read_interactions, read_items
from recattn.schema.columns import AVAILABLE_FROM, ITEM, TIME, USER

Catalog = Literal["all", "interacted"]


@dataclasses.dataclass(frozen=True)
class Shop:
    """What a folder holds, in canonical frames; ids are text."""

    form: str  # the names of the files
    interactions: pd.DataFrame  # user_id, item_id, timestamp, and of event_type, weight what there is
    items: (
        pd.DataFrame | None
    )  # item_id, and of title, price, brand, categories (lists) what there is; columns asked for
    notes: tuple[str, ...]  # what was read as what, left out or is missing, a line each


def read_shop(
    folder: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    further: Sequence[str] = (),
    category_levels: int | None = None,
    catalog: Catalog = "all",
) -> Shop:
    """Read `interactions.*` and `items.*`, or the reviews and metadata of an Amazon release.

    Args:
        folder: Holds Parquet, CSV or JSON lines, these two also gzipped; a file of items may be missing.
        columns: Our name to theirs, where `pipelines.shop.columns` does not know theirs.
        further: Columns of the items file to keep beside the canonical ones.
        category_levels: Keep only the last so many levels of each path of categories.
        catalog: `interacted` leaves out items of the file that nobody touched in the whole log.

    Raises:
        DataError: Files or columns that are not there, or cells that make no sense.
    """
    files = find_files(folder)
    log, notes = _interactions(files.interactions, columns or {})
    if files.items is None:
        return Shop(files.interactions.name, log, None, (*notes, _NO_ITEMS))
    items, more = _items(files.items, columns or {}, further, category_levels)
    known = items[ITEM].isin(log[ITEM])
    if not known.any():
        raise DataError(
            f"{str(files.items)!r} describes none of the items of the interactions: it has "
            f"{listed(items[ITEM].head(3))}, they have {listed(log[ITEM].head(3))}. Name the columns that match: "
            "--columns '{item_id: <its name>}'."
        )
    lost = pd.unique(log[ITEM][~log[ITEM].isin(items[ITEM])])
    if len(lost):
        more.append(f"{len(lost):,} items of the interactions are not in the items file ({listed(lost, 3)})")
    if not known.all():
        more.append(
            f"{int((~known).sum()):,} of {len(items):,} items of the file were never touched: catalog={catalog!r}"
        )
        items = items if catalog == "all" else items[known].reset_index(drop=True)
    return Shop(f"{files.interactions.name}, {files.items.name}", log, items, (*notes, *more))


_NO_ITEMS = "no items file: no features, and items without training interactions can never be recommended"


def _interactions(path: Path, given: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    chosen: dict[str, str] = {}

    def pick(columns: list[str]) -> list[str]:
        chosen.clear()
        chosen.update(names.matched(columns, names.INTERACTIONS, given, [USER, ITEM, TIME], repr(str(path))))
        return list(chosen.values())

    raw = open_table(path, "interactions", pick)
    frame = pd.DataFrame({ours: raw[theirs] for ours, theirs in chosen.items()})
    for column in (USER, ITEM):
        frame[column] = names.text_ids(frame[column], repr(str(path)))
    moments = read_moments(raw[chosen[TIME]], repr(str(path)))
    frame[TIME] = moments.values
    log = read_interactions(frame, unit=moments.unit or "s")
    counted = f"{chosen[TIME]} is read as {moments.unit or 'dates'}"
    days = (pd.Timestamp(moment, unit="s").date() for moment in (log[TIME].min(), log[TIME].max()))
    return log, [f"{len(log):,} interactions, {' to '.join(map(str, days))}; {counted}", *_renamed(chosen)]


def _items(
    path: Path, given: Mapping[str, str], further: Sequence[str], levels: int | None
) -> tuple[pd.DataFrame, list[str]]:
    chosen: dict[str, str] = {}
    everything: list[str] = []

    def pick(columns: list[str]) -> list[str]:
        everything[:] = columns
        chosen.clear()
        chosen.update(names.matched(columns, names.ITEMS, given, [ITEM], repr(str(path))))
        extra = {name: name for name in further if name in columns and name not in chosen}
        chosen.update(extra)
        return list(dict.fromkeys(chosen.values()))

    raw = open_table(path, "items", pick)
    for name in further:
        if name not in chosen:
            raise DataError(
                f"{str(path)!r} has no column {name!r} for a feature; it has {listed(everything, 20)}."
                f"{nearest(name, everything)}"
            )
    frame = pd.DataFrame({ours: raw[theirs] for ours, theirs in chosen.items()})
    frame[ITEM] = names.text_ids(frame[ITEM], repr(str(path)))
    notes = _renamed(chosen)
    measured = [name for name in everything if names.measured(name)]
    if measured:
        notes.append(f"left out, measured after the interactions: {', '.join(measured)}")
    twice = frame[ITEM].duplicated()
    if twice.any():
        notes.append(f"{int(twice.sum()):,} rows repeat an item; the first of each counts")
        frame = frame[~twice].reset_index(drop=True)
    if "price" in frame:
        prices = read_prices(frame["price"])
        frame["price"] = prices.values
        notes += [line for line in [told(prices)] if line]
    if "brand" in frame:
        brand = frame["brand"].astype(object)
        frame["brand"] = brand.mask(brand.isna() | brand.astype(str).str.strip().str.lower().isin(NO_VALUE))
    if "categories" in frame:
        frame["categories"] = read_categories(frame["categories"], levels)
    if AVAILABLE_FROM not in frame:
        return read_items(frame), notes
    since = read_moments(frame[AVAILABLE_FROM], repr(str(path)))
    return read_items(frame.assign(**{AVAILABLE_FROM: since.values}), unit=since.unit or "s"), notes


def _renamed(chosen: Mapping[str, str]) -> list[str]:
    new = [f"{theirs} as {ours}" for ours, theirs in chosen.items() if ours != theirs]
    return [f"read {', '.join(new)}"] if new else []
