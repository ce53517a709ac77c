"""Scores of labelled rows against plain lines and scikit-learn."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from recattn.errors import ConfigError, DataError
from recattn.evaluation import evaluate_labelled, paired_bootstrap
from recattn.evaluation.calibration_error import calibration_bins, calibration_error

SLATE = pd.DataFrame(
    {
        "request_id": [0, 0, 0, 1, 1, 2],
        "user_id": ["u", "u", "u", "u", "u", "v"],
        "item_id": list("abcabc"),
        "label": [1, 0, 0, 0, 1, 1],
        "score": [0.5, 0.5, 0.1, 0.7, 0.2, 0.9],
    }
)


def random_slate(seed: int, *, weighted: bool = False) -> pd.DataFrame:
    """300 rows of 30 users; scores of few values, so that many are equal."""
    rng = np.random.default_rng(seed)
    told = rng.integers(1, 10, 300) / 10
    rows = {"user_id": rng.integers(0, 30, 300), "label": (rng.random(300) < told).astype(int), "probability": told}
    weights = {"weight": rng.integers(0, 4, 300) / 2} if weighted else {}
    return pd.DataFrame({**rows, "score": np.log(told / (1 - told)), **weights})


def plain_auc(rows: pd.DataFrame) -> float:
    won = total = 0.0
    pairs = product(rows[rows["label"] == 1].itertuples(), rows[rows["label"] == 0].itertuples())
    for up, down in pairs:
        weight = getattr(up, "weight", 1) * getattr(down, "weight", 1)
        total += weight
        won += weight * (0.5 if up.score == down.score else up.score > down.score)
    return won / total if total else np.nan


def test_every_group_with_both_labels_counts_once() -> None:
    found = evaluate_labelled(SLATE)
    assert found.per_request["grouped_auc"].tolist() == [0.75, 0.0]
    assert found.per_request.columns.tolist() == ["request_id", "user_id", "grouped_auc"]
    assert found.summary["grouped_auc"] == pytest.approx(0.375)
    assert found.summary["grouped_auc_by_weight"] == pytest.approx((3 * 0.75 + 2 * 0.0) / 5)
    assert found.policy["one_label_groups"] == 1
    assert (found.policy["requests"], found.policy["truth_rows"], found.policy["positive_rows"]) == (2, 6, 3)


def test_groups_may_be_users_where_there_are_requests() -> None:
    found = evaluate_labelled(SLATE, group="user_id")
    assert found.per_request.columns.tolist() == ["user_id", "grouped_auc"]
    assert found.values("grouped_auc").to_dict() == pytest.approx({"u": 2.5 / 6})


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_those_of_plain_lines(weighted: bool) -> None:
    slate = random_slate(3, weighted=weighted)
    weights = slate.get("weight", pd.Series(1.0, slate.index))
    found = evaluate_labelled(slate).summary
    by_user = slate.groupby("user_id")[list(slate)].apply(plain_auc)
    sizes = weights.groupby(slate["user_id"]).sum()[by_user.notna()]
    assert found["auc"] == pytest.approx(plain_auc(slate))
    assert found["auc"] == pytest.approx(roc_auc_score(slate["label"], slate["score"], sample_weight=weights))
    assert found["grouped_auc"] == pytest.approx(by_user.mean())
    assert found["grouped_auc_by_weight"] == pytest.approx(np.average(by_user.dropna(), weights=sizes))
    assert found["log_loss"] == pytest.approx(log_loss(slate["label"], slate["probability"], sample_weight=weights))


def test_calibration_error_is_the_mean_distance_in_groups_of_equal_mass() -> None:
    rng = np.random.default_rng(0)
    told = rng.random(1000)
    labels = (rng.random(1000) < told**2).astype(int)
    parts = np.array_split(np.argsort(told), 10)
    expected = sum(abs(told[part].mean() - labels[part].mean()) * len(part) for part in parts) / 1000
    groups = calibration_bins(labels, told, bins=10)
    assert groups["rows"].tolist() == [100] * 10
    assert calibration_error(groups) == pytest.approx(expected)


def test_rows_of_equal_probability_are_never_parted() -> None:
    labels, told = np.array([0, 1] * 50 + [1] * 20), np.array([0.5] * 100 + [0.9] * 20)
    groups = calibration_bins(labels, told, bins=10)
    assert groups["rows"].tolist() == [100, 20]
    assert groups["positives"].tolist() == [0.5, 1.0]
    assert calibration_error(groups) == pytest.approx(0.1 * 20 / 120)


def test_a_weight_of_two_is_a_row_twice() -> None:
    slate = random_slate(5)
    twice = evaluate_labelled(pd.concat([slate, slate.head(100)])).summary
    weighted = evaluate_labelled(slate.assign(weight=np.where(slate.index < 100, 2, 1))).summary
    assert weighted == pytest.approx(twice)


def test_the_order_of_rows_changes_nothing() -> None:
    slate = random_slate(6)
    shuffled = slate.sample(frac=1, random_state=0)
    one, other = evaluate_labelled(slate), evaluate_labelled(shuffled)
    assert one.summary == pytest.approx(other.summary)
    assert one.policy == other.policy


def test_rows_without_a_score_are_left_out_and_counted() -> None:
    slate = random_slate(7)
    holed = slate.assign(score=slate["score"].where(slate.index >= 10))
    holed.loc[:9, "probability"] = np.nan
    found = evaluate_labelled(holed)
    assert found.summary == evaluate_labelled(slate.iloc[10:]).summary
    assert found.policy["unscored_rows_ignored"] == 10
    with pytest.raises(DataError, match="truth_sha256"):
        paired_bootstrap(found, evaluate_labelled(slate), "grouped_auc")


def test_a_bootstrap_tells_good_scores_from_random_ones() -> None:
    slate = random_slate(8)
    guess = slate.assign(score=np.random.default_rng(0).random(300))
    found = paired_bootstrap(evaluate_labelled(slate), evaluate_labelled(guess), "grouped_auc", n_resamples=500)
    assert found.difference > 0.1
    assert found.p_value < 0.05
    with pytest.raises(ConfigError, match="'auc' has one value for all requests"):
        evaluate_labelled(slate).values("auc")


def test_groups_of_one_row_have_no_grouped_auc() -> None:
    found = evaluate_labelled(random_slate(9).assign(user_id=range(300)))
    assert set(found.summary) == {"auc", "log_loss", "calibration_error"}
    assert found.policy["one_label_groups"] == 300


def test_a_report_is_cut_by_segments() -> None:
    segments = pd.DataFrame({"request_id": [0, 1, 2], "country": ["NL", "DE", "DE"]})
    table = evaluate_labelled(SLATE, segments=segments, policy={"split": "time"}).by_segment("country")
    assert table.to_dict("list") == {"segment": ["DE", "NL"], "requests": [1, 1], "grouped_auc": [0.0, 0.75]}


def test_infinite_scores_have_their_place() -> None:
    slate = SLATE.assign(score=[np.inf, 0.0, -np.inf, 0.0, 1.0, 2.0], label=SLATE["label"].astype(bool))
    assert evaluate_labelled(slate).summary["grouped_auc"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [1, 0, 2, 0, 1, 1]}, r"scored.label must be 0 or 1 in every row; 1 are not \(row 2: 2\)"),
        ({"label": [1, 0, None, 0, 1, 1]}, "scored.label must be 0 or 1"),
        ({"label": 1}, r"all of one label \(\[1\]\)"),
        ({"score": list("abcdef")}, "scored.score must be numbers"),
        ({"score": np.nan}, r"the 0 rows of scored that have a score \(of 6\)"),
        (
            {"probability": [0.1, 0.2, 0.3, 1.5, 0.4, np.nan]},
            r"between 0 and 1 where a score is; 2 are not \(row 3: 1.5",
        ),
        ({"weight": [1, 1, 1, -1, 1, 1]}, r"scored.weight must be at least 0 in every row; 1 are not \(row 3: -1"),
        ({"request_id": [0, 0, 0, 1, 1, None]}, "request_id"),
        ({"user_id": list("uuuuxv")}, r"1 requests have more than one user \(1\)"),
    ],
)
def test_bad_rows_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_labelled(SLATE.assign(**change))


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(DataError, match=r"no column 'label'; it has 'request_id'.*'labels'.* Did you mean 'label"):
        evaluate_labelled(SLATE.rename(columns={"label": "labels"}))
    with pytest.raises(DataError, match="must be a DataFrame, got list"):
        evaluate_labelled([])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"group must be one of request_id, user_id, got 'user'. Did you mean"):
        evaluate_labelled(SLATE, group="user")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bins must be a whole number of at least 1, got 0"):
        evaluate_labelled(SLATE, bins=0)
