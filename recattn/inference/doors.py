"""From a caller's histories and users to the batches of one model."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from recattn.batching.assemble import Assembler
from recattn.dataset.doors import History, history_store, log
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests
from recattn.dataset.tables import UserTable
from recattn.errors import listed
from recattn.inference.model import Blueprint
from recattn.schema import DataWarning, check_same_kind, read_users
from recattn.schema.columns import USER


def open_history(plan: Blueprint, history: History | None) -> HistoryStore:
    """The histories in the model's codes; what the model does not know is left out, and counted in the log."""
    store = history_store(history, plan.table.vocabulary, plan.config.time, behaviours=plan.behaviours)
    if store.dropped:
        log.info("%s interactions of the history with items the model does not know are left out", f"{store.dropped:,}")
    return store


def make_assembler(plan: Blueprint, store: HistoryStore, users: pd.DataFrame | str | Path | None) -> Assembler:
    """The builder of batches over `store`, with the users' attributes where the model uses them."""
    table = None
    if plan.users.features:
        frame = None if users is None else read_users(users)
        if frame is None:
            _tell_without_users(plan)
        else:
            check_same_kind(frame[USER], "users", pd.Series(store.users), "history", USER)
        table = UserTable.build(frame, plan.users)
    return Assembler(store, plan.config, table, plan.context if plan.context.features else None)


def tell_without_context(plan: Blueprint, requests: Requests) -> None:
    """DataWarning where the model uses context and the requests have none of it."""
    columns = [spec.column for spec in plan.context.specs]
    if columns and len(requests) and (requests.context is None or not plan.context.any_in(requests.context)):
        warnings.warn(
            f"the requests have none of the context columns the model was fitted with ({listed(columns)}): all of it "
            "counts as missing. Pass a frame that has them.",
            DataWarning,
            stacklevel=3,
        )


def _tell_without_users(plan: Blueprint) -> None:
    names = listed([spec.column for spec in plan.users.specs])
    warnings.warn(
        f"the model was fitted with attributes of users ({names}) and no users frame is given: all of them count as "
        "missing. Pass one.",
        DataWarning,
        stacklevel=4,
    )
