"""The table of recommendations that people look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from recattn.schema import columns
from recattn.tracking import privacy

SHOWN = 10


def sample_table(
    recommendations: pd.DataFrame,
    titles: Mapping[Any, str] | pd.Series | None,
    requests: int,
    hash_ids: bool,
) -> pd.DataFrame:
    """One row a request, of the first `requests`: `user`, `recommended`, `1`, `2`, ... `items`, `scores`.

    The numbered columns hold the title (or id) at that rank, ten at most; the others join them. MLflow's view of many
    runs sets `recommended` of one user side by side, so `user` is unique: a user's second request is `... #2`.
    """
    key = columns.REQUEST if columns.REQUEST in recommendations else columns.USER
    first = recommendations[key].drop_duplicates().head(requests)
    rows = recommendations[recommendations[key].isin(first) & (recommendations[columns.RANK] <= SHOWN)]
    rows = rows.assign(
        user=privacy.hashed(rows[columns.USER]) if hash_ids else rows[columns.USER].astype(str),
        item=rows[columns.ITEM].astype(str),
        title=rows[columns.ITEM].map(dict((titles if titles is not None else {}).items())),
        score=rows[columns.SCORE].map("{:.4g}".format),
    ).sort_values(columns.RANK, kind="stable")
    rows["title"] = rows["title"].fillna(rows["item"])
    lists = [_one(group) for _, group in rows.groupby(key, sort=False)]
    table = pd.DataFrame(lists, columns=_columns(max(map(_places, lists), default=0))).fillna("")
    again = table.groupby("user").cumcount() + 1
    table["user"] = table["user"].where(again == 1, table["user"] + " #" + again.astype(str))
    return table


def _one(group: pd.DataFrame) -> dict[str, str]:
    ranked = list(zip(group[columns.RANK].astype(int).astype(str), group["title"].astype(str), strict=True))
    return {
        "user": group["user"].iloc[0],
        "recommended": "  ".join(f"{rank}. {title}" for rank, title in ranked),
        **dict(ranked),
        "items": ", ".join(group["item"]),
        "scores": ", ".join(group["score"]),
    }


def _places(row: Mapping[str, str]) -> int:
    return max(int(name) for name in row if name.isdigit())


def _columns(places: int) -> list[str]:
    return ["user", "recommended", *(str(rank) for rank in range(1, places + 1)), "items", "scores"]
