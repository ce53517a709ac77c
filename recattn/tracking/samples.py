"""The examples that people look at: lists with titles, and what moved them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from recattn.schema import columns
from recattn.tracking import privacy

if TYPE_CHECKING:
    from recattn.dataset.history import HistoryStore
    from recattn.recommender import Recommender

SHOWN = 10
EXPLAINED = 3  # places of a list whose parts are looked at

Titles = Mapping[Any, str] | pd.Series | None


class Examples(NamedTuple):
    """The first places of a few lists, taken apart."""

    parts: pd.DataFrame  # of `Recommender.parts`
    changes: pd.DataFrame  # of `Recommender.explain`, all interactions, with `request_id` where lists have it
    moments: pd.Series | None  # seconds, by row of the slate; None for order-only data


def take_apart(
    model: Recommender,
    recommendations: pd.DataFrame,
    asked: pd.DataFrame | None,
    history: pd.DataFrame | HistoryStore,
    users: pd.DataFrame | None,
    requests: int,
) -> Examples:
    """What moved the first places of the first `requests` lists; `asked` has their moments, as `recommend` got them."""
    slate = _first(recommendations, requests)
    slate = slate[slate[columns.RANK] <= EXPLAINED].drop(columns=[columns.RANK, columns.SCORE], errors="ignore")
    if asked is not None:
        key = _key(slate, asked)
        about = asked.drop(columns=[columns.USER], errors="ignore") if key == columns.REQUEST else asked
        about = about[about.columns.difference(slate.columns.difference([key]))].drop_duplicates(key)
        slate = slate.merge(about, on=key, how="left")
    slate = slate.reset_index(drop=True)
    moments = slate.get(columns.TIME)
    if moments is None and model.config.time == "timestamp":
        stamps = history[columns.TIME] if isinstance(history, pd.DataFrame) else history.times
        moments = pd.Series(int(stamps.max()) + 1, index=slate.index)  # type: ignore[union-attr]
    changes = model.explain(slate, history=history, users=users, top=model.config.max_history)
    if columns.REQUEST in slate:
        changes[columns.REQUEST] = slate[columns.REQUEST].to_numpy()[changes["row"]]
    return Examples(model.parts(slate, history=history, users=users), changes, moments)


def sample_table(
    recommendations: pd.DataFrame,
    titles: Titles,
    requests: int,
    hash_ids: bool,
    reasons: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row a request, of the first `requests`: `user`, `recommended`, `1`, `2`, ... `why`, `items`, `scores`.

    The numbered columns hold the title (or id) at that rank, ten at most; the others join them. MLflow's view of many
    runs sets `recommended` of one user side by side, so `user` is unique: a user's second request is `... #2`. `why` is
    there with `reasons`: the interaction that moved each of the first scores most.
    """
    key = _key(recommendations)
    names = {str(item): str(title) for item, title in (titles if titles is not None else {}).items()}
    rows = _first(recommendations, requests).query(f"{columns.RANK} <= {SHOWN}")
    rows = rows.assign(
        user=privacy.hashed(rows[columns.USER]) if hash_ids else rows[columns.USER].astype(str),
        item=rows[columns.ITEM].astype(str),
        score=rows[columns.SCORE].map("{:.4g}".format),
    ).sort_values(columns.RANK, kind="stable")
    rows["title"] = [names.get(item, item) for item in rows["item"]]
    rows["why"] = _why(rows, reasons, names)
    lists = [_one(group) for _, group in rows.groupby(key, sort=False)]
    table = pd.DataFrame(lists, columns=_columns(max(map(_places, lists), default=0), reasons is not None)).fillna("")
    again = table.groupby("user").cumcount() + 1
    table["user"] = table["user"].where(again == 1, table["user"] + " #" + again.astype(str))
    return table


def _key(*frames: pd.DataFrame) -> str:
    return columns.REQUEST if all(columns.REQUEST in frame for frame in frames) else columns.USER


def _first(recommendations: pd.DataFrame, requests: int) -> pd.DataFrame:
    key = _key(recommendations)
    return recommendations[recommendations[key].isin(recommendations[key].drop_duplicates().head(requests))]


def _why(rows: pd.DataFrame, reasons: pd.DataFrame | None, names: Mapping[str, str]) -> pd.Series | str:
    """`Emma: Persuasion +0.31` (its score is 0.31 higher for Persuasion) for the places that have a reason."""
    if reasons is None:
        return ""
    key = _key(rows, reasons)
    reasons = reasons[reasons[columns.RANK] == 1]
    told = zip(reasons[key], reasons[columns.ITEM], reasons[f"history_{columns.ITEM}"], reasons["change"], strict=True)
    known = {(who, str(item)): f"{names.get(str(past), past)} {change:+.2g}" for who, item, past, change in told}
    pairs = zip(rows[key], rows["item"], rows["title"], strict=True)
    return pd.Series(
        [f"{title}: {known[request, item]}" if (request, item) in known else "" for request, item, title in pairs],
        index=rows.index,
        dtype=object,
    )


def _one(group: pd.DataFrame) -> dict[str, str]:
    ranked = list(zip(group[columns.RANK].astype(int).astype(str), group["title"].astype(str), strict=True))
    return {
        "user": group["user"].iloc[0],
        "recommended": "  ".join(f"{rank}. {title}" for rank, title in ranked),
        **dict(ranked),
        "why": "; ".join(filter(None, group["why"])),
        "items": ", ".join(group["item"]),
        "scores": ", ".join(group["score"]),
    }


def _places(row: Mapping[str, str]) -> int:
    return max(int(name) for name in row if name.isdigit())


def _columns(places: int, explained: bool) -> list[str]:
    numbers = [str(rank) for rank in range(1, places + 1)]
    return ["user", "recommended", *numbers, *(["why"] if explained else []), "items", "scores"]
