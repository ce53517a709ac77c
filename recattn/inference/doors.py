"""From a caller's frames to carriers in the codes of a model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recattn.batching.assemble import Assembler
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests
from recattn.dataset.tables import UserTable
from recattn.errors import DataError, listed
from recattn.inference.model import Blueprint
from recattn.schema import moment, read_users

log = logging.getLogger("recattn")


def open_history(plan: Blueprint, history: pd.DataFrame | HistoryStore) -> HistoryStore:
    """A canonical frame, or a store, as a store in the model's codes; what the model does not know is left out."""
    time = plan.config.time
    if isinstance(history, HistoryStore):
        if history.time != time:
            raise DataError(f"history has time={history.time!r}, but the model was fitted with time={time!r}.")
        store = history.recode(plan.table.vocabulary)
        if plan.behaviours is not None:
            store = store.with_behaviours(plan.behaviours)
    else:
        store = HistoryStore.from_frame(history, plan.table.vocabulary, behaviours=plan.behaviours, time=time)
    if store.dropped:
        log.info("%s interactions of the history with items the model does not know are left out", f"{store.dropped:,}")
    return store


def make_assembler(plan: Blueprint, store: HistoryStore, users: pd.DataFrame | str | Path | None) -> Assembler:
    """The builder of batches over `store`, with the users' attributes where the model uses them."""
    table = None
    if plan.users.features:
        table = UserTable.build(None if users is None else read_users(users), plan.users)
    return Assembler(store, plan.config, table, plan.context if plan.context.features else None)


def read_moment(as_of: Any, store: HistoryStore) -> int | None:
    """The one moment of requests that name none, in seconds; by default just after the end of the history."""
    if as_of is not None:
        if store.times is None:
            raise DataError("as_of needs histories with timestamps; this model knows an order only.")
        return moment(as_of, "as_of")
    if store.end is not None:
        log.info("as_of is %s, just after the end of the history", pd.Timestamp(store.end, unit="s"))
    return store.end


def check_known(requests: Requests) -> None:
    """DataError where the history has nothing of any user asked for."""
    if len(requests) and (requests.users < 0).all():
        raise DataError(
            f"the history has no interaction of any of the {len(requests):,} users asked for (first: "
            f"{listed(requests.user_ids[:3])}). Pass the history of these users, with ids of the same type."
        )


def candidate_codes(plan: Blueprint, candidates: Iterable[Any]) -> np.ndarray:
    """Codes of the candidates in the catalog; DataError where there is none."""
    wanted = list(candidates)
    codes = plan.table.vocabulary.encode(wanted)
    if not (codes > 0).any():
        raise DataError(f"none of the {len(wanted)} candidates is in the model's catalog: {listed(wanted)}.")
    return codes[codes > 0]
