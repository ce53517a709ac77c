"""A page of explanations for a sample of requests: from frames to what the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError, listed
from recattn.pages.section import Candidate, Interaction, Section
from recattn.pages.sheet import sheet
from recattn.recommender import Data, Log, Recommender
from recattn.schema import check_same_kind, read_slate
from recattn.schema.columns import ITEM, REASON, REQUEST, SCORE, TIME, USER
from recattn.schema.read import read_frame


@dataclass(frozen=True)
class Limits:
    """How much a page shows; it says what it leaves out.

    Attributes:
        requests: Requests, drawn at random where there are more.
        candidates: Candidates a request, those of the highest score.
        interactions: Columns of a heat map, those that change the shown scores most.
        seed: Of the draw.
    """

    requests: int = 10
    candidates: int = 20
    interactions: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("requests", "candidates", "interactions"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} of a page must be a whole number of at least 1, got {value!r}.")


def explanation_page(
    model: Recommender,
    slate: Data,
    *,
    history: Log,
    users: Data | None = None,
    titles: Data | None = None,
    as_of: Any = None,
    limits: Limits | None = None,
) -> str:
    """One HTML document, without scripts and without anything from elsewhere.

    Args:
        model: A fitted model.
        slate: As for `Recommender.explain`.
        history: As for `Recommender.explain`.
        users: Attributes of users, for models that use them.
        titles: Items with a `title`; items without one go by their id.
        as_of: The moment of rows that name none.
        limits: How much is shown.

    Raises:
        DataError: An empty slate, `titles` without `item_id` or `title`, or with ids of another kind.
    """
    limits, names = limits or Limits(), item_titles(titles, model)
    frame = read_slate(slate, time=model.config.time)
    if not len(frame):
        raise DataError("slate has no rows: there is nothing to explain. Give it user_id and item_id.")
    keys = [REQUEST] if REQUEST in frame else [name for name in (USER, TIME) if name in frame]
    groups = frame.groupby(keys, sort=False).ngroup().to_numpy()
    total = int(groups.max()) + 1
    chosen = np.arange(total)
    if total > limits.requests:
        chosen = np.sort(np.random.default_rng(limits.seed).choice(total, limits.requests, replace=False))
    sample = frame[np.isin(groups, chosen)].reset_index(drop=True)
    groups = groups[np.isin(groups, chosen)]
    asked: dict[str, Any] = {"history": history, "users": users, "as_of": as_of}
    scored = model.score(sample, **asked).assign(_group=groups)
    shown = scored.dropna(subset=SCORE).sort_values(SCORE, ascending=False, kind="stable")
    shown = shown.groupby("_group").head(limits.candidates).sort_index()
    changes = model.explain(sample.loc[shown.index], top=max(1, model.config.max_history), **asked)
    changes["row"] = shown.index.to_numpy()[changes["row"]]
    of = groups[changes["row"].to_numpy()]
    sections = [
        _section(scored[scored["_group"] == group], changes[of == group], names, limits) for group in chosen.tolist()
    ]
    return sheet(sections, total=total, score=model.config.score)


def item_titles(titles: Data | None, model: Recommender) -> Mapping[Any, str]:
    """Titles by item id; DataError where the frame lacks a column, or its ids are of another kind than the model's."""
    if titles is None:
        return {}
    frame = read_frame(titles, "titles")
    for name in (ITEM, "title"):
        if name not in frame:
            raise DataError(f"titles has no column {name!r}; it has {listed(frame.columns, 20)}. Rename the one meant.")
    known = frame.dropna(subset=[ITEM, "title"])
    if len(known):
        check_same_kind(known[ITEM], "titles", pd.Series(model.items.vocabulary.ids), "the model", ITEM)
    return dict(zip(known[ITEM].tolist(), known["title"].astype(str), strict=True))


def _section(rows: pd.DataFrame, changes: pd.DataFrame, names: Mapping[Any, str], limits: Limits) -> Section:
    """What the page says of one request: its scored rows, and what each of those shown loses by each masking."""

    def named(item: Any) -> str:
        return names.get(item, str(item))

    timed = f"history_{TIME}" in changes
    history = changes.drop_duplicates("history_position").sort_values("history_position")
    matrix = changes.pivot_table(index="row", columns="history_position", values="change", sort=True)
    matrix = matrix.reindex(columns=history["history_position"])
    scores = rows.dropna(subset=SCORE).sort_values(SCORE, ascending=False, kind="stable").head(limits.candidates)
    matrix = matrix.reindex(index=scores.index)
    candidates = [
        Candidate(named(item), float(score), values)
        for item, score, values in zip(scores[ITEM], scores[SCORE], matrix.to_numpy(), strict=True)
    ]
    first = rows.iloc[0]
    unknown = rows.loc[rows[REASON] == "unknown_item", ITEM]
    return Section(
        user=str(first[USER]),
        request=str(first[REQUEST]) if REQUEST in rows else None,
        moment=moment(first[TIME]) if TIME in rows else None,
        history=[
            Interaction(
                int(line["history_position"]) + 1,
                named(line[f"history_{ITEM}"]),
                moment(line[f"history_{TIME}"]) if timed else None,
            )
            for _, line in history.iterrows()
        ],
        candidates=candidates,
        columns=most_telling(matrix.abs().max().to_numpy(), limits.interactions),
        left_out=len(rows) - len(unknown) - len(candidates),
        unknown=[str(item) for item in unknown],
    )


def most_telling(sizes: np.ndarray, most: int) -> np.ndarray:
    """Places of the `most` largest sizes, the later of equals, in order."""
    latest_first = np.arange(len(sizes))[::-1]
    return np.sort(latest_first[np.argsort(-sizes[latest_first], kind="stable")][:most])


def moment(seconds: Any) -> str:
    """A moment as date, and time where it is not midnight (UTC)."""
    stamp = pd.Timestamp(int(seconds), unit="s")
    return stamp.strftime("%Y-%m-%d" if stamp == stamp.normalize() else "%Y-%m-%d %H:%M")
