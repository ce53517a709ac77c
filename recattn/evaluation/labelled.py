"""Judging the scores of labelled rows, such as impressions with clicks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import pandas as pd

from recattn.errors import ConfigError, DataError, listed, nearest
from recattn.evaluation.auc import auc_by_group
from recattn.evaluation.calibration_error import BINS, calibration_bins, calibration_error
from recattn.evaluation.digest import ids_digest
from recattn.evaluation.evaluate import with_own
from recattn.evaluation.report import Report
from recattn.evaluation.segments import joined
from recattn.evaluation.truth_times import truth_times
from recattn.schema import check_ids
from recattn.schema.columns import ITEM, LABEL, PROBABILITY, REQUEST, SCORE, USER, WEIGHT
from recattn.schema.rows import first_rows

Group = Literal["request_id", "user_id"]
GROUPS: tuple[Group, ...] = get_args(Group)


def evaluate_labelled(
    scored: pd.DataFrame,
    *,
    group: Group | None = None,
    bins: int = BINS,
    segments: pd.DataFrame | None = None,
    policy: Mapping[str, str | int] | None = None,
) -> Report:
    """Measure how well scores (anybody's) tell the rows of label 1 from those of label 0.

    Args:
        scored: One row a candidate: `request_id` or `user_id`, `label` (0 or 1), `score`; where there are such columns,
            `probability` of label 1 (for log loss and calibration error), `weight` (at least 0, in every metric; 1
            without it), `item_id` and `timestamp`. Rows whose score is NaN are left out and counted; reports that left
            out different rows cannot be compared.
        group: Within what `grouped_auc` is taken: `user_id`, or `request_id`, which is taken where it is there.
        bins: Groups of `calibration_error`.
        segments: As for `evaluate`: one row a group.
        policy: Rules of your own to note in `Report.policy`.

    Returns:
        A Report with `auc` of all rows; `grouped_auc`, the mean over groups, each counting once, which has a value a
        group for `paired_bootstrap`; `grouped_auc_by_weight`, where each counts by the weight of its rows (GAUC as
        published); and with probabilities `log_loss` and `calibration_error` of all rows. Pairs of equal scores count
        half. Groups with one label only have no AUC: they are left out of `Report.per_request`, and
        `Report.policy["one_label_groups"]` says how many. Where all are such, the metrics of groups are left out.

    Raises:
        DataError: A column is missing, ids are null, labels are not 0 or 1, only one label is there, scores are no
            numbers, a scored row has no probability between 0 and 1, or a weight is negative.
        ConfigError: An unknown `group`, or `bins` below 1.

    Examples:
        >>> import pandas as pd
        >>> rows = {"user_id": list("uuvv"), "label": [1, 0, 0, 1], "score": [0.9, 0.1, 0.7, 0.8]}
        >>> evaluate_labelled(pd.DataFrame(rows)).summary
        {'auc': 1.0, 'grouped_auc': 1.0, 'grouped_auc_by_weight': 1.0}
    """
    key = _key(scored, group)
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise ConfigError(f"bins must be a whole number of at least 1, got {bins!r}.")
    rows = _checked(scored, key)
    labels, weights = rows[LABEL].to_numpy(), rows[WEIGHT].to_numpy()
    aucs = auc_by_group(rows[key].to_numpy(), labels, rows[SCORE].to_numpy(), weights)
    sizes = rows.groupby(key)[WEIGHT].sum()
    has = aucs.notna().to_numpy()

    users = [USER] if key == REQUEST and USER in rows else []
    per_request = rows.drop_duplicates(key)[[key, *users]]
    if has.any():
        per_request = per_request[per_request[key].isin(aucs.index[has])]
    per_request = per_request.reset_index(drop=True)
    summary = {"auc": float(auc_by_group(np.zeros(len(rows)), labels, rows[SCORE].to_numpy(), weights).iloc[0])}
    if has.any():
        per_request["grouped_auc"] = per_request[key].map(aucs).astype(np.float64)
        summary["grouped_auc"] = float(per_request["grouped_auc"].mean())
        summary["grouped_auc_by_weight"] = float(np.average(aucs[has], weights=sizes[has]))
    if PROBABILITY in rows:
        from sklearn.metrics import log_loss

        told = rows[PROBABILITY].to_numpy()
        summary["log_loss"] = float(log_loss(labels, told, sample_weight=weights))
        summary["calibration_error"] = calibration_error(calibration_bins(labels, told, weights, bins))

    judged = [key, *(name for name in (ITEM,) if name in rows), LABEL, *(name for name in (WEIGHT,) if name in scored)]
    rules: dict[str, str | int] = {
        "key": key,
        "seen": "keep",
        "truth_sha256": ids_digest(*(rows[name] for name in judged)),
        "users_sha256": ids_digest(rows[USER if users else key].drop_duplicates()),
        "calibration_bins": bins,
    }
    if segments is not None:
        per_request, names = joined(per_request, key, segments)
        rules["segments"] = ",".join(names)
    rules |= {
        **truth_times(rows),
        "requests": len(per_request),
        "truth_rows": len(rows),
        "positive_rows": int(labels.sum()),
        "one_label_groups": int((~has).sum()),
        "unscored_rows_ignored": len(scored) - len(rows),
    }
    return Report(summary, per_request, with_own(rules, policy))


def _key(scored: pd.DataFrame, group: str | None) -> str:
    if not isinstance(scored, pd.DataFrame):
        raise DataError(f"scored must be a DataFrame, got {type(scored).__name__}.")
    if group is not None and group not in GROUPS:
        raise ConfigError(f"group must be one of {', '.join(GROUPS)}, got {group!r}.{nearest(group, GROUPS)}")
    columns = [str(name) for name in scored.columns]
    key = group or (REQUEST if REQUEST in columns else USER)
    for name in (key, LABEL, SCORE):
        if name not in columns:
            raise DataError(f"scored has no column {name!r}; it has {listed(columns, 12)}.{nearest(name, columns)}")
    return key


def _checked(scored: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows with a score: plain ids, `label` int64, `score`, `weight` and (where there) `probability` float64."""
    ids = [name for name in dict.fromkeys((key, USER)) if name in scored]
    rows = scored.assign(**{name: check_ids(scored[name], name, "scored") for name in ids})
    numbers = {name: _numbers(scored, name) for name in (LABEL, SCORE, PROBABILITY, WEIGHT) if name in scored}
    weights = numbers.setdefault(WEIGHT, np.ones(len(scored)))
    known = ~np.isnan(numbers[SCORE])
    _refuse(~np.isin(numbers[LABEL], (0, 1)), scored, LABEL, "must be 0 or 1 in every row")
    _refuse(~(np.isfinite(weights) & (weights >= 0)), scored, WEIGHT, "must be at least 0 in every row")
    if PROBABILITY in numbers:
        told = numbers[PROBABILITY]
        _refuse(known & ~((told >= 0) & (told <= 1)), scored, PROBABILITY, "must lie between 0 and 1 where a score is")
    rows = rows.assign(**numbers)[known].astype({LABEL: np.int64})
    _check_one_user(rows, key)
    labels = rows.loc[rows[WEIGHT] > 0, LABEL].unique()
    if len(labels) < 2:
        raise DataError(
            f"the {len(rows):,} rows of scored that have a score (of {len(scored):,}) are all of one label "
            f"({labels.tolist()}). Judging scores needs positives and negatives."
        )
    return rows


def _numbers(scored: pd.DataFrame, name: str) -> np.ndarray:
    """float64 [M], NaN for nulls."""
    if not (pd.api.types.is_numeric_dtype(scored[name].dtype) or pd.api.types.is_bool_dtype(scored[name].dtype)):
        raise DataError(f"scored.{name} must be numbers, got {scored[name].dtype}.")
    return scored[name].to_numpy(np.float64, na_value=np.nan)


def _refuse(bad: np.ndarray, scored: pd.DataFrame, name: str, rule: str) -> None:
    if bad.any():
        raise DataError(f"scored.{name} {rule}; {int(bad.sum()):,} are not ({first_rows(bad, scored[name])}).")


def _check_one_user(rows: pd.DataFrame, key: str) -> None:
    if key == REQUEST and USER in rows:
        users = rows.groupby(REQUEST)[USER].nunique()
        if (users > 1).any():
            several = users.index[users > 1]
            raise DataError(
                f"scored: {len(several):,} requests have more than one user ({listed(several[:5].tolist())}). "
                "A request is one user at one moment."
            )
