"""Requests cut into groups, each of which is looked at by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError, listed
from recattn.schema import check_ids, check_same_kind
from recattn.schema import columns as c

HISTORY_BINS = {"0": 0, "1-4": 1, "5-9": 5, "10-19": 10, "20-49": 20, "50+": 50}  # label -> the first length in it
POPULARITY_BANDS = ("cold", "tail", "mid", "head")
UNKNOWN, OTHER = "unknown", "other"
_MOST_VALUES = 12  # of a column whose values are groups
_QUANTILES = 4


def joined(per_request: pd.DataFrame, key: str, segments: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """`per_request` with the columns of `segments` behind its own, and their names.

    They meet by `key`; requests that `segments` does not have get NA, others of it are left out.

    Raises:
        DataError: `segments` is no frame, has no `key`, has two rows for one, has ids of another kind or no request in
            common, or no column beside ids.
        ConfigError: A column has the name of one that is there.
    """
    if not isinstance(segments, pd.DataFrame) or key not in segments.columns:
        seen = listed(map(str, segments.columns)) if isinstance(segments, pd.DataFrame) else type(segments).__name__
        raise DataError(f"segments must be a DataFrame with a column {key!r}, got {seen}.")
    names = [str(name) for name in segments.columns if name not in (c.REQUEST, c.USER)]
    if not names:
        raise DataError(f"segments has ids only ({listed(map(str, segments.columns))}). Give it columns to cut by.")
    taken = [name for name in names if name in per_request.columns]
    if taken:
        raise ConfigError(f"segments may not have a column {taken[0]!r}: a metric is called so. Rename it.")
    if wrong := [name for name in names if "," in name]:
        raise ConfigError(f"segments has a column {wrong[0]!r}: names of segments hold no comma. Rename it.")
    ids = check_ids(segments[key], key, "segments")
    check_same_kind(ids, "segments", per_request[key], "truth", key)
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].unique()
        raise DataError(f"segments has more than one row for {len(twice)} values of {key} ({listed(twice.tolist())}).")
    rows = pd.Index(ids).get_indexer(pd.Index(per_request[key]))
    if (rows < 0).all():
        raise DataError(
            f"segments has none of the requests judged: {key} there is like {listed(ids[:3].tolist())}, in truth like "
            f"{listed(per_request[key].iloc[:3].tolist())}."
        )
    found = segments[names].reset_index(drop=True)
    if (rows < 0).any():
        found = found.astype({name: _can_be_missing(found[name]) for name in names})
    found = found.reindex(np.where(rows < 0, len(found), rows)).set_axis(per_request.index)
    return pd.concat([per_request, found], axis=1), names


def bins(values: pd.Series) -> pd.Series:
    """The group of each request as an ordered categorical of texts, under the index of `values`.

    `history_length` has fixed groups (0, 1-4, 5-9, 10-19, 20-49, 50+), so that groups of two reports are the same.
    `popularity` goes from cold to head. Other numbers with many values are cut into quarters of the requests (zeros of
    `target_popularity` by themselves), labelled by the least and greatest value within; texts, booleans and numbers
    with few values are groups as they are, the most frequent of many beside "other". Missing values are "unknown".

    Only groups that some request is in are there.
    """
    known = values.dropna()
    if values.name == c.HISTORY_LENGTH and pd.api.types.is_numeric_dtype(known.dtype):
        edges = [*HISTORY_BINS.values(), np.inf]
        groups = pd.cut(known.astype(np.float64), edges, right=False, labels=list(HISTORY_BINS))
    elif pd.api.types.is_numeric_dtype(known.dtype) and known.nunique() > _MOST_VALUES:
        groups = _quantiles(known.astype(np.float64), values.name == c.TARGET_POPULARITY)
    else:
        groups = _as_they_are(known)
    groups = groups.cat.remove_unused_categories()
    if len(known) < len(values):
        groups = groups.cat.add_categories(UNKNOWN).reindex(values.index).fillna(UNKNOWN)
    groups.name = values.name
    return groups


def by_segment(per_request: pd.DataFrame, column: str, metrics: Sequence[str]) -> pd.DataFrame:
    """One row a group of `column`, in their order: `segment`, `requests`, the mean of each of `metrics`."""
    groups = per_request.groupby(bins(per_request[column]), observed=True)
    table = groups[list(metrics)].mean()
    table.insert(0, "requests", groups.size())
    table.index = pd.Index(table.index.astype(str), name="segment")
    return table.reset_index()


def _can_be_missing(values: pd.Series) -> Any:
    """The dtype in which whole numbers and booleans stay what they are beside NA."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iub":
        return "boolean" if values.dtype.kind == "b" else "Int64"
    return values.dtype


def _quantiles(values: pd.Series, zero_apart: bool) -> pd.Series:
    zero = (values == 0) if zero_apart else pd.Series(False, index=values.index)
    codes = pd.qcut(values[~zero], _QUANTILES, labels=False, duplicates="drop").reindex(values.index, fill_value=-1)
    ends = values.groupby(codes).agg(["min", "max"])
    labels = {code: _range(low, high) for code, low, high in ends.itertuples(name=None)}
    return _categorical(codes.map(labels), list(labels.values()))


def _range(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _as_they_are(values: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(values.dtype):
        values = values.astype(bool).map({True: "yes", False: "no"})
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        order = list(values.cat.categories)
    else:
        order = sorted(values.unique().tolist(), key=_sort_key)
    texts = values.astype(object).map(_text)
    labels = list(dict.fromkeys(map(_text, order)))
    if values.name == c.POPULARITY:
        labels = [*POPULARITY_BANDS, *(label for label in labels if label not in POPULARITY_BANDS)]
    elif len(labels) > _MOST_VALUES:
        kept = set(texts.value_counts().index[: _MOST_VALUES - 1])
        texts = texts.where(texts.isin(kept), OTHER)
        labels = [*(label for label in labels if label in kept and label != OTHER), OTHER]
    return _categorical(texts, labels)


def _sort_key(value: object) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, str(value))  # type: ignore[arg-type]


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _categorical(texts: pd.Series, labels: Sequence[str]) -> pd.Series:
    return texts.astype(pd.CategoricalDtype(list(dict.fromkeys(labels)), ordered=True))
