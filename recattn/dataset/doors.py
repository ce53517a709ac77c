"""From what a caller passes to carriers: training data, histories, requests, candidates."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.config import Ties, Time
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_requests
from recattn.dataset.store_files import is_store
from recattn.dataset.tables import ItemTable
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, DataError, listed, nearest
from recattn.schema import DataWarning, check_ids, check_same_kind, moment, read_interactions, read_items, read_requests
from recattn.schema.columns import ITEM, REQUEST, TIME, USER

log = logging.getLogger("recattn")

History = pd.DataFrame | str | Path | HistoryStore


def open_log(data: History, time: Time) -> pd.DataFrame | HistoryStore:
    """Interactions as a canonical frame; a HistoryStore as it is, and opened where `data` is the folder of one."""
    if isinstance(data, HistoryStore):
        return data
    if isinstance(data, str | Path) and is_store(data):
        return HistoryStore.open(data)
    return read_interactions(data, time=time)


def ids_given(ids: Any, what: str) -> list[Any]:
    """A caller's ids as a list; DataError for one id alone, which text would take for its letters, or a frame."""
    if isinstance(ids, pd.DataFrame):
        raise DataError(f"{what} must be a list of ids, got a DataFrame. Pass the column of it that holds them.")
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise DataError(f"{what} must be a list of ids, got {ids!r}. Pass [{ids!r}].")
    return list(ids)


def check_items(items: pd.Series, what: str, vocabulary: Vocabulary) -> None:
    """DataError where item ids are of another kind than the model's (numbers, not text): none would be known."""
    check_same_kind(items, what, pd.Series(vocabulary.ids), "the model", ITEM)


def training_data(
    train: History, items: pd.DataFrame | str | Path | None, time: Time
) -> tuple[HistoryStore, ItemTable]:
    """The training interactions in the codes of the catalog: all items of `items`, then of `train`."""
    frame = None if items is None else read_items(items)
    known = [] if frame is None else [frame[ITEM]]
    found = open_log(train, time)
    ids = pd.Series(found.item_vocabulary.ids) if isinstance(found, HistoryStore) else found[ITEM]
    if frame is not None:
        check_same_kind(frame[ITEM], "items", ids, "train", ITEM)
    vocabulary = Vocabulary.from_values(ITEM, *known, ids)
    if isinstance(found, HistoryStore):
        _check_time(found, time, "train")
        store = found.recode(vocabulary)
    else:
        store = HistoryStore.from_frame(found, vocabulary, time=time)
    return store, ItemTable.build(vocabulary, trained=np.unique(store.items), items=frame)


def history_store(
    history: History | None, vocabulary: Vocabulary, time: Time, *, behaviours: Vocabulary | None = None
) -> HistoryStore:
    """The histories to answer from, in the codes of the vocabularies; interactions with other items are left out."""
    if history is None:
        raise DataError(
            "history is missing. A model keeps no users: pass the interactions of those you ask about, history=log."
        )
    found = open_log(history, time)
    if isinstance(found, HistoryStore):
        _check_time(found, time, "history")
        check_items(pd.Series(found.item_vocabulary.ids), "history", vocabulary)
        store = found.recode(vocabulary)
        return store if behaviours is None else store.with_behaviours(behaviours)
    check_items(found[ITEM], "history", vocabulary)
    return HistoryStore.from_frame(found, vocabulary, behaviours=behaviours, time=time)


def moment_asked(as_of: Any, store: HistoryStore, asked: object = None) -> int | None:
    """The moment of requests that name none, in seconds: just after the end of the history, unless `as_of` says.

    What was chosen is logged, unless the frame `asked` names the moments itself.

    ConfigError for an `as_of` where there are no times to compare it with.
    """
    if as_of is not None:
        if store.times is None:
            raise ConfigError(f"as_of={as_of!r} needs times, but the model was fitted with time='order'.")
        return moment(as_of, "as_of")
    if store.end is not None and not (isinstance(asked, pd.DataFrame) and TIME in asked):
        log.info("as_of is %s, just after the end of the history", pd.Timestamp(store.end, unit="s"))
    return store.end


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
    if users is None:
        return make_requests(store, as_of=as_of, ties=ties), False
    if isinstance(users, str) and store.user_rows([users])[0] >= 0 and not Path(users).exists():
        ids_given(users, "users")  # text is a path: whoever names a user this way is told how to
    if isinstance(users, pd.DataFrame | str | Path):
        named = not isinstance(users, pd.DataFrame) or REQUEST in users.columns
        asked = read_requests(users, time=store.time)
    else:
        ids = pd.Series(ids_given(users, "users"), name=USER)
        named, asked = False, pd.DataFrame({USER: check_ids(ids, USER, "users") if len(ids) else ids})
    requests = make_requests(store, asked, as_of=as_of, ties=ties)
    check_known(requests, store)
    return requests, named


def check_known(requests: Requests, store: HistoryStore) -> None:
    """DataError when `store` has a history of nobody who is asked about."""
    if len(requests) and (requests.users < 0).all():
        raise DataError(
            f"history has no interactions of the {len(requests):,} users asked about "
            f"({listed(requests.user_ids.tolist(), 3)}); its users are like {listed(store.users[:3].tolist())}. "
            "Pass a history that holds them."
        )


def candidate_codes(candidates: Iterable[Any] | None, table: ItemTable) -> np.ndarray:
    """Ascending item codes int64 [C] to choose from: those of `candidates`, or all that can be recommended."""
    if candidates is None:
        return np.flatnonzero(table.recommendable)
    wanted = ids_given(candidates, "candidates")
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


def tell_short(k: int, choices: int) -> None:
    """DataWarning where `k` is more than there is to choose from."""
    if k > choices:
        warnings.warn(
            f"k = {k:,} is more than the {choices:,} items to choose from: lists end there.", DataWarning, stacklevel=3
        )


def tell_empty(codes: np.ndarray) -> None:
    """DataWarning where requests have no item: rows of `codes` int [X, k] that are all 0."""
    empty = int((codes == 0).all(axis=1).sum())
    if empty:
        warnings.warn(
            f"{empty:,} of {len(codes):,} requests have no recommendation: all their candidates are seen or not yet "
            "available. Pass exclude_seen=False to recommend seen items again.",
            DataWarning,
            stacklevel=3,
        )


def _check_time(store: HistoryStore, time: Time, what: str) -> None:
    if store.time != time:
        raise DataError(
            f"{what} is a store with time={store.time!r}, but time={time!r} is asked for. Build both the same way."
        )
