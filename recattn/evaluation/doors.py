"""What recommendations must look like beside the truth they are judged by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError, listed, nearest
from recattn.schema import check_ids, check_same_kind
from recattn.schema.columns import ITEM, RANK, REQUEST, SCORE, SEEN, USER
from recattn.schema.rows import first_rows


def request_key(recommendations: pd.DataFrame, truth: pd.DataFrame) -> str:
    """The column by which the frames meet: `request_id` where both have it, else `user_id`.

    Raises DataError when `user_id` has to do although some user has several requests.
    """
    frames = {"recommendations": recommendations, "truth": truth}
    for what, frame in frames.items():
        _check_columns(frame, what, [ITEM])
    having = [what for what, frame in frames.items() if REQUEST in frame.columns]
    if len(having) == 2:
        return REQUEST
    for what, frame in frames.items():
        _check_columns(frame, what, [USER])
    for what in having:
        pairs = frames[what][[USER, REQUEST]].drop_duplicates()
        several = pairs.loc[pairs[USER].duplicated(), USER].unique()
        if len(several):
            other = next(name for name in frames if name != what)
            raise DataError(
                f"{what} has several requests for {len(several)} users ({listed(several.tolist())}), but "
                f"{other} has no {REQUEST!r} to tell them apart. Take both from one split: recommend for "
                "split.requests(part, target=) and judge by split.truth(part, target=)."
            )
    return USER


def checked_truth(truth: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows of `truth`, each (key, item) once, with ids in plain dtypes."""
    if len(truth) == 0:
        raise DataError("truth is empty: there is nothing to judge by. Look at how many rows the split left for it.")
    truth = _with_plain_ids(truth, "truth", [key, ITEM])
    return truth[~truth.duplicated([key, ITEM])]


def judged_rows(truth: pd.DataFrame, seen: str) -> pd.DataFrame:
    """The rows of checked `truth` that count under the policy `seen`."""
    judged = truth[~_seen_rows(truth, seen)]
    if len(judged) == 0:
        raise DataError(
            f"seen='drop' leaves no truth: all {len(truth)} rows are items their user had seen. "
            "Pass seen='keep', beside recommendations made with exclude_seen=False."
        )
    return judged


def ranked_rows(
    recommendations: pd.DataFrame, truth: pd.DataFrame, judged: pd.Series, key: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows of `recommendations` ranked for one of the requests `judged`, and counts of the rest.

    `truth` is checked; `judged` is its key in the rows that count.
    """
    columns = recommendations.columns
    place = RANK if RANK in columns else SCORE
    if place not in columns:
        raise DataError(
            f"recommendations has neither {RANK!r} nor {SCORE!r} to order a list by; "
            f"it has {listed(map(str, columns))}."
        )
    if len(recommendations) and not pd.api.types.is_numeric_dtype(recommendations[place]):
        raise DataError(f"recommendations.{place} must be numbers, got {recommendations[place].dtype}.")
    recommendations = _with_plain_ids(recommendations, "recommendations", [key, ITEM])
    for column in (key, ITEM):
        check_same_kind(recommendations[column], "recommendations", truth[column], "truth", column)
    if key == REQUEST:
        _check_same_users(recommendations, truth)
    known = recommendations[key].isin(truth[key].unique()).to_numpy()
    extra = recommendations.loc[~known, key].unique()
    if len(extra) and not known.any():
        raise DataError(
            f"none of the {len(extra)} requests in recommendations is in truth: {key} there is like "
            f"{listed(extra[:3].tolist())}, in truth like {listed(truth[key].iloc[:3].tolist())}."
        )
    kept = recommendations[key].isin(judged.unique()).to_numpy()
    unscored = recommendations[place].isna().to_numpy() & kept
    if place == RANK and unscored.any():
        raise DataError(f"recommendations has no {RANK} in {int(unscored.sum())} rows ({first_rows(unscored)}).")
    counts = {"extra_requests_ignored": len(extra), "unscored_rows_ignored": int(unscored.sum())}
    return recommendations[kept & ~unscored], counts


def _seen_rows(truth: pd.DataFrame, seen: str) -> np.ndarray:
    if seen not in ("keep", "drop"):
        raise ConfigError(f"seen must be 'keep' or 'drop', got {seen!r}.{nearest(seen, ['keep', 'drop'])}")
    if seen == "keep":
        return np.zeros(len(truth), dtype=bool)
    _check_columns(truth, "truth", [SEEN])
    if not pd.api.types.is_bool_dtype(truth[SEEN]) or truth[SEEN].isna().any():
        raise DataError(f"truth.{SEEN} must be true or false in every row, got {truth[SEEN].dtype}.")
    return truth[SEEN].to_numpy(dtype=bool)


def _check_columns(frame: pd.DataFrame, what: str, needed: Sequence[str]) -> None:
    """Raises DataError when `frame` is no DataFrame or lacks one of `needed`."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{what} must be a DataFrame, got {type(frame).__name__}.")
    columns = [str(column) for column in frame.columns]
    for name in needed:
        if name not in frame.columns:
            raise DataError(f"{what} has no column {name!r}; it has {listed(columns, 12)}.{nearest(name, columns)}")


def _with_plain_ids(frame: pd.DataFrame, what: str, columns: Sequence[str]) -> pd.DataFrame:
    return frame.assign(**{name: check_ids(frame[name], name, what) for name in columns})


def _check_one_user(frame: pd.DataFrame, what: str) -> pd.Series:
    """The user of each request, indexed by request; raises DataError when a request has two."""
    pairs = frame[[REQUEST, USER]].drop_duplicates()
    twice = pairs.loc[pairs[REQUEST].duplicated(), REQUEST].unique()
    if len(twice):
        raise DataError(
            f"{what}: {len(twice)} requests have more than one user ({listed(twice.tolist())}). "
            "A request is one user at one moment."
        )
    return pairs.set_index(REQUEST)[USER]


def _check_same_users(recommendations: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Raises DataError when one `request_id` names different users on the two sides."""
    if USER not in recommendations.columns or USER not in truth.columns:
        return
    ours = _check_one_user(truth, "truth")
    theirs = _check_one_user(recommendations, "recommendations").reindex(ours.index).dropna()
    differ = theirs.index[theirs.to_numpy() != ours.reindex(theirs.index).to_numpy()]
    if len(differ):
        raise DataError(
            f"{len(differ)} requests have one user in recommendations and another in truth "
            f"({REQUEST} {listed(differ.tolist())}). The frames come from different splits or targets."
        )
