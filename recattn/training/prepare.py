"""From frames to what a fit needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recattn.batching.assemble import Assembler
from recattn.config import FeatureSpec, ModelConfig, TrainConfig
from recattn.dataset.features import FittedFeatures
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import make_requests
from recattn.dataset.split import Split
from recattn.dataset.tables import ItemTable, UserTable
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import DataError
from recattn.inference.model import Blueprint
from recattn.schema import check_same_kind
from recattn.schema.columns import EVENT, ITEM, REQUEST, SEEN, TIME, USER
from recattn.training.data_module import Validation

Log = pd.DataFrame | HistoryStore


@dataclass(frozen=True, eq=False)
class FitData:
    """The plan of a model, the histories it is trained on, and what it is validated on."""

    blueprint: Blueprint
    assembler: Assembler
    validation: Validation | None


@dataclass(frozen=True)
class Specs:
    """The features a model was asked to use."""

    items: tuple[FeatureSpec, ...] = ()
    users: tuple[FeatureSpec, ...] = ()
    context: tuple[FeatureSpec, ...] = ()


def prepare_fit(
    train: Log,
    valid: Log | None,
    items: pd.DataFrame | None,
    users: pd.DataFrame | None,
    specs: Specs,
    config: ModelConfig,
    settings: TrainConfig,
) -> FitData:
    """Vocabularies, tables and features from train alone; validation requests from `valid`.

    Frames must be canonical (`recattn.schema`).

    Raises:
        DataError: Too little to train on, or a feature that does not suit its column.
    """
    names = [spec.column for spec in specs.context]
    store = _train_store(train, items, config, names)
    _check_trainable(store)
    vocabulary = store.item_vocabulary
    counts = np.bincount(store.items, minlength=len(vocabulary) + 1)
    table = ItemTable.build(vocabulary, trained=counts > 0, items=items, specs=specs.items)
    if users is not None:
        check_same_kind(users[USER], "users", pd.Series(store.users), "train", USER)
    user_table = UserTable.build(users, specs.users, trained=store.users) if specs.users else None
    context = FittedFeatures("context")
    if names:
        frame = pd.DataFrame({name: store.extras[name] for name in names})
        context = FittedFeatures.fit(specs.context, frame, what="context")
    blueprint = Blueprint(
        config=config,
        train=settings,
        table=table,
        behaviours=store.behaviour_vocabulary if config.use_events else None,
        users=FittedFeatures("users") if user_table is None else user_table.fitted,
        context=context,
        time_scale=_time_scale(store),
    )
    assembler = Assembler(store, config, user_table, context if names else None)
    validation = None
    if valid is not None:
        validation = _validation(train, valid, blueprint, assembler, settings)
    return FitData(blueprint, assembler, validation)


def joined(train: Log, valid: Log, config: ModelConfig) -> pd.DataFrame:
    """Both logs as one frame, the later rows of a user after the earlier ones."""
    first, second = (log.to_frame() if isinstance(log, HistoryStore) else log for log in (train, valid))
    if config.time == "order":
        counts = first.groupby(USER, sort=False).size()
        shift = second[USER].map(counts).fillna(0).astype(np.int64)
        places = second.groupby(USER, sort=False)[TIME].rank(method="first").astype(np.int64) - 1
        second = second.assign(**{TIME: places + shift})
    return pd.concat([first, second], ignore_index=True)


def _train_store(train: Log, items: pd.DataFrame | None, config: ModelConfig, extras: Sequence[str]) -> HistoryStore:
    catalog = [items[ITEM]] if items is not None else []
    if items is not None:
        ids = pd.Series(train.item_vocabulary.ids) if isinstance(train, HistoryStore) else train[ITEM]
        check_same_kind(items[ITEM], "items", ids, "train", ITEM)
    if isinstance(train, HistoryStore):
        if train.time != config.time:
            raise DataError(
                f"the train store has time={train.time!r}, ModelConfig.time is {config.time!r}. Make them one."
            )
        missing = [name for name in extras if name not in train.extras]
        if missing:
            raise DataError(
                f"the train store has no extra column {missing[0]!r} for the context features; it has "
                f"{list(train.extras)}. Prepare it with that column."
            )
        here = np.unique(train.items)
        return train.recode(Vocabulary.from_values(ITEM, *catalog, train.item_vocabulary.decode(here)))
    if not config.use_events:
        train = train.drop(columns=EVENT, errors="ignore")
    return HistoryStore.from_frame(
        train, Vocabulary.from_values(ITEM, *catalog, train[ITEM]), time=config.time, extras=extras
    )


def _check_trainable(store: HistoryStore) -> None:
    if not len(store):
        raise DataError("train has no interaction with an item of the catalog. Give it some.")
    distinct = len(np.unique(store.items))
    if distinct < 2:
        raise DataError(
            f"train has {len(store.users)} users and {distinct} item with interactions; there is nothing to rank. "
            "It needs at least 2 items."
        )
    if store.lengths.max() < 2:
        raise DataError(
            f"none of the {len(store.users)} users of train has 2 interactions, so no target has a history. "
            "Give longer histories, or check user_id."
        )


def _validation(
    train: Log, valid: Log, blueprint: Blueprint, assembler: Assembler, settings: TrainConfig
) -> Validation:
    config = blueprint.config
    log = joined(train, valid, config)
    part = (np.arange(len(log)) >= len(train)).astype(np.int8)
    split = Split(log, part, None, None, config.time, config.ties, leaks=False)
    requests, truth = (ask("valid", settings.valid_target) for ask in (split.requests, split.truth))
    truth = truth[~truth[SEEN]].drop_duplicates([REQUEST, ITEM])
    requests = requests[requests[REQUEST].isin(truth[REQUEST])]
    if not len(requests):
        raise DataError("valid holds nothing new: all its items were seen before by their users. Give another valid.")
    store = HistoryStore.from_frame(
        log,
        blueprint.table.vocabulary,
        behaviours=blueprint.behaviours,
        time=config.time,
        extras=list(assembler.store.extras),
    )
    offsets = np.searchsorted(truth[REQUEST].to_numpy(), requests[REQUEST].to_numpy())
    return Validation(
        Assembler(store, config, assembler.users, assembler.context),
        make_requests(store, requests, ties=config.ties),
        blueprint.table.vocabulary.encode(truth[ITEM]),
        np.append(offsets, len(truth)).astype(np.int64),
    )


def _time_scale(store: HistoryStore) -> float:
    """Mean span of a history with more than one moment, in seconds: the unit of time ages."""
    if store.times is None:
        return 1.0
    filled = store.lengths > 0
    spans = store.times[store.offsets[1:][filled] - 1] - store.times[store.offsets[:-1][filled]]
    spans = spans[spans > 0]
    return float(spans.mean()) if len(spans) else 1.0
