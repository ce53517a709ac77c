"""What looks wrong with the histories and candidates of a job, though no door refuses it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from recattn.dataset.profile import drift, length_counts
from recattn.dataset.requests import Requests
from recattn.jobs.engine import Engine
from recattn.schema.columns import ITEM

Told = tuple[Any, str, str]  # level, about, text
DAY = 86_400
MANY_UNKNOWN, MANY_EMPTY, MANY_TWICE = 0.2, 0.2, 0.01  # shares from which on a warning is due
FAR = 0.25  # of `drift`
LOOKED_AT = 1_000_000  # interactions that are searched for duplicates
CROWD = 100_000  # candidates of one request


def history_findings(engine: Engine) -> Iterator[Told]:
    """Of the log: unknown items, rows twice, times, length against the training's."""
    store, profile, plan = engine.store, engine.model.profile, engine.model.blueprint
    given = len(store) + store.dropped
    unknown = store.dropped / given if given else 0.0
    if unknown > MANY_UNKNOWN:
        yield (
            "warning",
            "history",
            f"{unknown:.0%} of the interactions have an item that the model does not know. Is it the model of this "
            "catalog, trained lately?",
        )
    elif unknown:
        yield "note", "history", f"{unknown:.2%} of the interactions have an item that the model does not know."
    twice = _twice(engine)
    if twice > MANY_TWICE:
        yield "warning", "history", f"{twice:.0%} of the interactions are there twice. Drop duplicates in the log."
    longest = int(store.lengths.max(initial=0))
    if longest > 100 * plan.config.max_history:
        text = (
            f"the longest history has {longest:,} interactions, of which {plan.config.max_history} are seen. A robot?"
        )
        yield "note", "history", text
    yield from _moments(engine)
    if profile is not None:
        far = drift(profile.lengths[1:], length_counts(store.lengths)[1:])
        if far is not None and far > FAR:
            text = f"histories are of other lengths than those of train (PSI {far:.2f}). Is it the whole log?"
            yield "warning", "history", text


def _moments(engine: Engine) -> Iterator[Told]:
    latest, profile = engine.high_water, engine.model.profile
    if latest is None:
        return
    day, now = pd.Timestamp(latest, unit="s").date(), time.time()
    trained = None if profile is None else profile.until
    if latest < 20 * 365 * DAY or (trained and latest * 100 < trained):
        yield "warning", "history", f"it ends on {day}: numbers in timestamp count something else? See unit."
    elif latest > now + DAY:
        yield "warning", "history", f"it ends on {day}, in the future. Are its times in another unit or zone?"
    elif trained and latest < trained - DAY:
        until = pd.Timestamp(trained, unit="s").date()
        yield "warning", "history", f"it ends on {day}, and the model was trained until {until}. Is it an old log?"
    elif trained and latest > trained + 90 * DAY:
        days = (latest - trained) // DAY
        yield "note", "model", f"it was trained on what is {days:,} days older than the end of the history."
    if engine.as_of is not None and engine.as_of <= latest - 30 * DAY:
        moment = pd.Timestamp(engine.as_of, unit="s").date()
        yield "note", "history", f"as_of is {moment}: what comes after it, until {day}, is not seen."


def _twice(engine: Engine) -> float:
    """Share of the interactions that repeat another's user, item and moment; by the first million."""
    store = engine.store
    if store.times is None or not len(store):
        return 0.0
    users = int(np.searchsorted(store.offsets, LOOKED_AT, side="right")) - 1 or 1
    stop = int(store.offsets[users])
    if not stop:
        return 0.0
    owners = np.repeat(np.arange(users), np.diff(store.offsets[: users + 1]))
    frame = pd.DataFrame({"user": owners, "item": store.items[:stop], "time": store.times[:stop]})
    return float(frame.duplicated().mean())


def slate_findings(
    engine: Engine, frame: pd.DataFrame, requests: Requests, keys: Any, *, whole: bool
) -> tuple[list[Told], bool]:
    """Of a sample of the slate (`whole`: all of it); and whether the rows of a request lie apart in it."""
    if not len(frame):
        return [], False
    assert requests.offsets is not None
    assert requests.candidates is not None
    told: list[Told] = []
    here = "" if whole else " of a sample"
    limits = engine.job.fail_if
    shares = {
        "unknown_items": float(np.mean(requests.candidates < 1)),
        "no_history": float(np.mean(requests.lengths == 0)),
    }
    texts = {
        "unknown_items": "of the rows have an item that the model does not know. Is it the model of this catalog?",
        "no_history": "of the requests see no interaction. Is it the history of these users, and the right as_of?",
    }
    for (name, share), many in zip(shares.items(), (MANY_UNKNOWN, MANY_EMPTY), strict=True):
        limit = getattr(limits, name)
        if limit is not None and share > limit:
            told.append(("warning", "slate", f"{share:.0%}{here} {texts[name]} fail_if.{name} is {limit:.0%}."))
        elif share > many:
            told.append(("warning", "slate", f"{share:.0%}{here} {texts[name]}"))
        elif share:
            told.append(("note", "slate", f"{share:.2%}{here} {texts[name].partition('. ')[0]}."))
    names = keys.to_pandas()
    twice = float(names.assign(**{ITEM: frame[ITEM].to_numpy()}).duplicated().mean())
    if twice > MANY_TWICE:
        told.append(("warning", "slate", f"{twice:.0%}{here} are there twice: a request has one item several times."))
    most = int(np.diff(requests.offsets).max(initial=0))
    if most > CROWD:
        told.append(("note", "slate", f"one request has {most:,} candidates."))
    owners = pd.util.hash_pandas_object(names, index=False).to_numpy()
    runs = 1 + int((owners[1:] != owners[:-1]).sum())
    apart = runs > 1.5 * len(np.unique(owners))
    if apart:
        told.append(("note", "slate", "rows of one request lie apart: sorted by request, a job needs no files beside."))
    return told, apart
