"""What a baseline is fitted on, then asked about."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Ties, Time
from recattn.dataset import HistoryStore, Requests, Vocabulary, make_requests
from recattn.dataset.tables import ItemTable
from recattn.errors import ConfigError, DataError, listed, nearest
from recattn.schema import DataWarning, check_ids, moment, read_interactions, read_items, read_requests
from recattn.schema.columns import ITEM, REQUEST, USER

History = pd.DataFrame | str | Path | HistoryStore


def training_data(
    train: History, items: pd.DataFrame | str | Path | None, time: Time
) -> tuple[HistoryStore, ItemTable]:
    """The training interactions in the codes of the catalog: all items of `items`, then of `train`."""
    frame = None if items is None else read_items(items)
    known = [] if frame is None else [frame[ITEM]]
    if isinstance(train, HistoryStore):
        _check_time(train, time, "train")
        vocabulary = Vocabulary.from_values(ITEM, *known, train.item_vocabulary.ids)
        store = train.recode(vocabulary)
    else:
        log = read_interactions(train, time=time)
        vocabulary = Vocabulary.from_values(ITEM, *known, log[ITEM])
        store = HistoryStore.from_frame(log, vocabulary, time=time)
    return store, ItemTable.build(vocabulary, trained=np.unique(store.items), items=frame)


def history_store(history: History | None, vocabulary: Vocabulary, time: Time) -> HistoryStore:
    """The histories to answer from, in the codes of `vocabulary`; interactions with other items are left out."""
    if history is None:
        raise DataError(
            "history is missing. A model keeps no users: pass the interactions of those you ask about, history=log."
        )
    if isinstance(history, HistoryStore):
        _check_time(history, time, "history")
        return history.recode(vocabulary)
    return HistoryStore.from_frame(read_interactions(history, time=time), vocabulary, time=time)


def moment_asked(as_of: Any, time: Time) -> int | None:
    """`as_of` in seconds; ConfigError where there are no times to compare it with."""
    if as_of is None:
        return None
    if time == "order":
        raise ConfigError(f"as_of={as_of!r} needs times, but the model was fitted with time='order'.")
    return moment(as_of, "as_of")


def check_ties(ties: str) -> None:
    """ConfigError unless `ties` is `exclude` or `order`."""
    if ties not in ("exclude", "order"):
        raise ConfigError(f"ties must be 'exclude' or 'order', got {ties!r}.{nearest(str(ties), ['exclude', 'order'])}")


def catalog_requests(
    store: HistoryStore,
    users: Iterable[Any] | pd.DataFrame | str | Path | None,
    *,
    as_of: int | None,
    ties: Ties,
) -> tuple[Requests, bool]:
    """Requests for all users of the store, a list of users, or a requests frame; whether it names its requests.

    Raises DataError when nobody asked about has a history.
    """
    check_ties(ties)
    if users is None:
        return make_requests(store, as_of=as_of, ties=ties), False
    if isinstance(users, pd.DataFrame):
        asked, named = read_requests(users, time=store.time), REQUEST in users.columns
    elif isinstance(users, str | bytes | Path):
        raise DataError(
            f"users must be a list of ids or a frame of requests, got {users!r}. For one user: [{users!r}]."
        )
    else:
        ids = pd.Series(list(users), name=USER)
        asked, named = pd.DataFrame({USER: check_ids(ids, USER, "users")}) if len(ids) else ids.to_frame(), False
    requests = make_requests(store, asked, as_of=as_of, ties=ties)
    if len(requests) and (requests.users < 0).all():
        raise DataError(
            f"history has no interactions of the {len(requests):,} users asked about "
            f"({listed(requests.user_ids.tolist(), 3)}); its users are like {listed(store.users[:3].tolist())}. "
            "Pass a history that holds them."
        )
    return requests, named


def candidate_codes(candidates: Iterable[Any] | None, table: ItemTable) -> np.ndarray:
    """Ascending item codes int64 [C] to choose from: those of `candidates`, or all that can be recommended."""
    if candidates is None:
        return np.flatnonzero(table.recommendable)
    if isinstance(candidates, str | bytes):
        raise DataError(f"candidates must be a list of item ids, got {candidates!r}.")
    wanted = list(candidates)
    codes = table.vocabulary.encode(wanted).astype(np.int64)
    unknown = codes <= 0
    if unknown.all():
        raise DataError(
            f"candidates has no item of the catalog: {len(wanted)} ids ({listed(wanted, 3)}), where the catalog has "
            f"{listed(table.vocabulary.ids[:3].tolist())}."
        )
    if unknown.any():
        missing = [wanted[place] for place in np.flatnonzero(unknown)]
        warnings.warn(
            f"candidates has {len(missing)} items that are not in the catalog, left out: {listed(missing)}.",
            DataWarning,
            stacklevel=3,
        )
    return np.unique(codes[~unknown])


def _check_time(store: HistoryStore, time: Time, what: str) -> None:
    if store.time != time:
        raise DataError(
            f"{what} is a store with time={store.time!r}, but time={time!r} is asked for. Build both the same way."
        )
