"""The table of recommendations that people look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from recattn.schema import columns
from recattn.tracking import privacy


def sample_table(
    recommendations: pd.DataFrame,
    titles: Mapping[Any, str] | pd.Series | None,
    requests: int,
    hash_ids: bool,
) -> pd.DataFrame:
    """`user, rank, item, score[, title]` of the first `requests` requests; ids are text."""
    key = columns.REQUEST if columns.REQUEST in recommendations else columns.USER
    first = recommendations[key].drop_duplicates().head(requests)
    rows = recommendations[recommendations[key].isin(first)]
    users = rows[columns.USER]
    table = pd.DataFrame({"user": privacy.hashed(users) if hash_ids else users.astype(str)})
    table["rank"] = rows[columns.RANK].astype(int)
    table["item"] = rows[columns.ITEM].astype(str)
    table["score"] = rows[columns.SCORE].astype(float).round(4)
    if titles is not None:
        table["title"] = rows[columns.ITEM].map(dict(titles.items())).fillna("")
    return table.reset_index(drop=True)
