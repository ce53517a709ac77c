"""How `evaluate` lays recommendations against the truth."""

from __future__ import annotations

import doctest
import importlib
from math import log2

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.evaluation import MRR, NDCG, Coverage, HitRate, Precision, Recall, Report, evaluate

METRICS = [Recall(2), HitRate(2), Precision(2), MRR(2), NDCG(2)]


def lists(**users: str) -> pd.DataFrame:
    """Recommendations from words: `lists(u="abc")` gives u the items a, b, c at ranks 1, 2, 3."""
    rows = [(user, item, -float(r), r + 1) for user, items in users.items() for r, item in enumerate(items)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "score", "rank"])


def truths(**users: str) -> pd.DataFrame:
    return pd.DataFrame(
        [(user, item) for user, items in users.items() for item in items], columns=["user_id", "item_id"]
    )


def test_summary_is_the_mean_of_hand_worked_fractions() -> None:
    report = evaluate(lists(u="xa", v="bcd", w="z"), truths(u="a", v="bd", w="q"), METRICS)
    assert report.summary == pytest.approx(
        {
            "recall_at_2": (1 + 1 / 2 + 0) / 3,
            "hit_rate_at_2": (1 + 1 + 0) / 3,
            "precision_at_2": (1 / 2 + 1 / 2 + 0) / 3,
            "mrr_at_2": (1 / 2 + 1 + 0) / 3,
            "ndcg_at_2": (1 / log2(3) + 1 / (1 + 1 / log2(3)) + 0) / 3,
        }
    )
    assert all(type(value) is float for value in report.summary.values())


def test_per_request_has_one_row_a_request_in_the_order_of_the_truth() -> None:
    report = evaluate(lists(a="1", b="2", c="3"), truths(c="3", a="9", b="2"), [Recall(1), MRR(1)])
    assert report.per_request.columns.tolist() == ["user_id", "recall_at_1", "mrr_at_1"]
    assert report.per_request["user_id"].tolist() == ["c", "a", "b"]
    assert report.per_request["recall_at_1"].tolist() == [1.0, 0.0, 1.0]


def test_request_without_recommendations_is_a_miss() -> None:
    report = evaluate(lists(u="a"), truths(u="a", v="a"), METRICS)
    assert report.summary["recall_at_2"] == 1 / 2
    assert report.policy["requests_without_recommendations"] == 1


def test_no_recommendations_at_all_are_misses() -> None:
    report = evaluate(lists(), truths(u="a", v="a"), METRICS)
    assert set(report.summary.values()) == {0.0}
    assert report.policy["requests_without_recommendations"] == 2


def test_requests_outside_the_truth_are_ignored_but_counted() -> None:
    report = evaluate(lists(u="a", x="a", y="ab"), truths(u="a"), [Recall(1), Coverage(5)], catalog_size=4)
    assert report.summary == {"recall_at_1": 1.0, "coverage_at_5": 1 / 4}
    assert report.policy["extra_requests_ignored"] == 2


def test_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    items = np.array([rng.choice(50, size=8, replace=False) for _ in range(40)])
    recommendations = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(40), 8),
            "item_id": items.ravel(),
            "rank": np.tile(np.arange(1, 9), 40),
        }
    )
    truth = pd.DataFrame({"user_id": rng.integers(40, size=150), "item_id": rng.integers(50, size=150)})
    first = evaluate(recommendations, truth, METRICS)
    shuffled = evaluate(recommendations.sample(frac=1, random_state=1), truth.sample(frac=1, random_state=2), METRICS)
    assert shuffled.summary == pytest.approx(first.summary, rel=1e-12)
    assert shuffled.policy == first.policy
    pd.testing.assert_frame_equal(
        shuffled.per_request.sort_values("user_id", ignore_index=True),
        first.per_request.sort_values("user_id", ignore_index=True),
    )


def test_rank_decides_before_score_and_gaps_close_up() -> None:
    recommendations = pd.DataFrame(
        {"user_id": "u", "item_id": ["a", "b", "c"], "rank": [9, 4, 2], "score": [3.0, 2.0, 1.0]}
    )
    assert evaluate(recommendations, truths(u="b"), MRR(3)).summary == {"mrr_at_3": 1 / 2}


def test_without_rank_the_score_decides_and_equal_scores_keep_their_rows() -> None:
    recommendations = pd.DataFrame({"user_id": "u", "item_id": list("abcd"), "score": [1.0, 5.0, 1.0, 0.5]})
    for item, rank in {"b": 1, "a": 2, "c": 3, "d": 4}.items():
        assert evaluate(recommendations, truths(u=item), MRR(4)).summary["mrr_at_4"] == 1 / rank


def test_rows_without_a_score_are_not_recommended() -> None:
    recommendations = pd.DataFrame({"user_id": "u", "item_id": list("ab"), "score": [np.nan, 0.5]})
    report = evaluate(recommendations, truths(u="ab"), [Recall(5)])
    assert report.summary["recall_at_5"] == 1 / 2
    assert report.policy["unscored_rows_ignored"] == 1


def test_k_above_the_longest_list_is_allowed_and_noted() -> None:
    report = evaluate(lists(u="ab"), truths(u="b"), [Recall(100), Precision(100)])
    assert report.summary == {"recall_at_100": 1.0, "precision_at_100": 1 / 100}
    assert report.policy["longest_list"] == 2


def test_duplicate_truth_rows_count_once() -> None:
    report = evaluate(lists(u="a"), truths(u="aab"), [Recall(1)])
    assert report.summary["recall_at_1"] == 1 / 2
    assert report.policy["duplicate_truth_rows"] == 1
    assert report.policy["truth_rows"] == 2


def test_seen_policy_drop_leaves_out_seen_truth_and_emptied_requests() -> None:
    truth = truths(u="ab", v="c").assign(seen=[True, False, True])
    kept = evaluate(lists(u="ab", v="c"), truth, [Recall(1)])
    dropped = evaluate(lists(u="ab", v="c"), truth, [Recall(1)], seen="drop")
    assert kept.summary["recall_at_1"] == (1 / 2 + 1) / 2
    assert dropped.summary["recall_at_1"] == 0.0
    assert dropped.per_request["user_id"].tolist() == ["u"]
    assert dropped.policy["seen_truth_rows_dropped"] == 2
    assert dropped.policy["requests_dropped"] == 1
    assert dropped.policy["extra_requests_ignored"] == 0
    assert (kept.policy["seen"], dropped.policy["seen"]) == ("keep", "drop")


def test_frames_meet_by_request_when_both_name_it() -> None:
    recommendations = pd.DataFrame({"request_id": [7, 7, 8], "user_id": "u", "item_id": list("aba"), "rank": [1, 2, 1]})
    truth = pd.DataFrame({"request_id": [8, 7], "user_id": "u", "item_id": ["a", "b"]})
    report = evaluate(recommendations, truth, [MRR(2)])
    assert report.per_request.to_dict("list") == {
        "request_id": [8, 7],
        "user_id": ["u", "u"],
        "mrr_at_2": [1.0, 0.5],
    }
    assert report.policy["key"] == "request_id"
    assert report.policy["requests"] == 2


def test_frames_meet_by_user_when_only_one_names_requests() -> None:
    recommendations = lists(u="a", v="b").assign(
        request_id=[
            0,
            0,
        ][:2]
    )
    recommendations["request_id"] = [0, 1]
    report = evaluate(recommendations, truths(u="a", v="a"), [Recall(1)])
    assert report.policy["key"] == "user_id"
    assert report.summary["recall_at_1"] == 1 / 2


def test_coverage_counts_only_items_of_the_catalog_given() -> None:
    report = evaluate(lists(u="ab", v="az"), truths(u="a", v="b"), [Coverage(2)], catalog={"a", "b", "c", "d"})
    assert report.summary == {"coverage_at_2": 2 / 4}
    assert report.policy["catalog_size"] == 4
    assert len(str(report.policy["catalog_sha256"])) == 64


def test_integer_and_categorical_ids_of_any_width_meet() -> None:
    truth = pd.DataFrame({"user_id": np.array([1, 2], "int8"), "item_id": pd.Categorical([5, 6])})
    recommendations = pd.DataFrame({"user_id": [1, 2], "item_id": pd.array([5, 7], "Int64"), "rank": 1})
    assert evaluate(recommendations, truth, [Recall(1)]).summary["recall_at_1"] == 1 / 2


def test_frames_given_are_not_changed() -> None:
    recommendations, truth = lists(u="ab", v="ba"), truths(v="bb", u="a").assign(seen=False)
    before = recommendations.copy(deep=True), truth.copy(deep=True)
    evaluate(recommendations, truth, [*METRICS, Coverage(1)], seen="drop", catalog=["a", "b"])
    pd.testing.assert_frame_equal(recommendations, before[0])
    pd.testing.assert_frame_equal(truth, before[1])


def test_policy_takes_rules_of_the_caller_but_not_over_its_own() -> None:
    report = evaluate(lists(u="a"), truths(u="a"), NDCG(1), policy={"ties": "exclude"})
    assert report.policy["ties"] == "exclude"
    with pytest.raises(ConfigError, match="policy may not set 'seen'"):
        evaluate(lists(u="a"), truths(u="a"), NDCG(1), policy={"seen": "keep"})


def test_metrics_of_ones_own_are_welcome() -> None:
    class FirstHit:
        k, name = 1, "first_hit"

        def per_request(self, hits: np.ndarray, truth_counts: np.ndarray) -> np.ndarray:
            return hits[:, 0].astype(float)

    assert evaluate(lists(u="ab"), truths(u="a"), [FirstHit()]).summary == {"first_hit": 1.0}


def test_report_shows_itself() -> None:
    report = evaluate(lists(u="a", v="b"), truths(u="a", v="a"), [NDCG(10)])
    assert repr(report) == "Report(2 requests by user_id, 2 truth rows, seen=keep: ndcg_at_10=0.5000)"
    assert "<td>ndcg_at_10</td><td>0.5000</td>" in report._repr_html_()
    assert report.to_frame().to_dict("list") == {"metric": ["ndcg_at_10"], "value": [0.5]}


def test_report_names_the_nearest_metric_when_asked_for_another() -> None:
    report = evaluate(lists(u="a"), truths(u="a"), [NDCG(10), Coverage(1)], catalog_size=3)
    with pytest.raises(ConfigError, match=r"'ndcg_at_1' is not in this report. Did you mean 'ndcg_at_10'\?"):
        report.values("ndcg_at_1")
    with pytest.raises(ConfigError, match="'coverage_at_1' has one value for all requests"):
        report.values("coverage_at_1")


def _digest(truth: pd.DataFrame) -> object:
    return evaluate(lists(), truth, [Recall(1)]).policy["truth_sha256"]


@pytest.mark.parametrize("dtype", ["int8", "int64", "Int64", "float64", "object", "category"])
def test_digest_of_the_truth_depends_on_values_only(dtype: str) -> None:
    truth = pd.DataFrame({"user_id": [1, 2, 3], "item_id": [30, 10, 20]})
    assert _digest(truth.astype(dtype)) == _digest(truth.iloc[::-1])
    assert _digest(truth) != _digest(truth.assign(item_id=[30, 20, 10]))


def _report(recommendations: object, truth: object, **settings: object) -> Report:
    return evaluate(recommendations, truth, [Recall(1)], **settings)  # type: ignore[arg-type]


BAD_FRAMES = {
    "recommendations without item": (
        lists(u="a").rename(columns={"item_id": "item"}),
        truths(u="a"),
        r"recommendations has no column 'item_id'; it has 'user_id', 'item', .* Did you mean 'item'\?",
    ),
    "truth without user": (
        lists(u="a"),
        truths(u="a").rename(columns={"user_id": "userid"}),
        r"truth has no column 'user_id'; .* Did you mean 'userid'\?",
    ),
    "neither rank nor score": (
        lists(u="a")[["user_id", "item_id"]],
        truths(u="a"),
        "recommendations has neither 'rank' nor 'score'",
    ),
    "text for rank": (
        lists(u="a").assign(rank="first"),
        truths(u="a"),
        "recommendations.rank must be numbers",
    ),
    "no frame": (lists(u="a"), "truth.csv", "truth must be a DataFrame, got str"),
    "empty truth": (lists(u="a"), truths(), "truth is empty"),
    "null ids in the truth": (
        lists(u="a"),
        truths(u="ab").assign(item_id=["a", None]),
        r"truth has 1 of 2 rows that cannot be used: 1 with a null item_id \(row 1",
    ),
    "null ranks": (
        lists(u="ab").assign(rank=[1, np.nan]),
        truths(u="a"),
        r"recommendations has no rank in 1 rows \(row 1\)",
    ),
    "item twice in a list": (
        lists(u="aba", v="a"),
        truths(u="a"),
        r"names an item twice in one list in 1 rows, \(user_id, item_id\): \('u', 'a'\)",
    ),
    "rank twice in a list": (
        lists(u="abc").assign(rank=[1, 2, 2]),
        truths(u="a"),
        "rank repeats inside a list in 1 rows, for instance rank 2 of user_id 'u'",
    ),
    "ids of mixed kinds": (
        lists(u="ab"),
        truths(u="ab").assign(item_id=["a", 1]),
        "truth: column 'item_id' mixes",
    ),
    "ids of another kind": (
        lists(u="a"),
        pd.DataFrame({"user_id": ["u"], "item_id": [1]}),
        r"item_id is str in recommendations \(such as 'a'\) but int in truth",
    ),
    "nobody in common": (
        lists(u="a"),
        truths(v="a"),
        "none of the 1 requests in recommendations is in truth: user_id there is like 'u', in truth like 'v'",
    ),
    "several requests of one user by user": (
        lists(u="a"),
        truths(u="ab").assign(request_id=[0, 1]),
        r"truth has several requests for 1 users \('u'\), but recommendations has no 'request_id'",
    ),
    "request of two users": (
        lists(u="a", v="b").assign(request_id=0),
        truths(u="a").assign(request_id=0),
        "recommendations: 1 requests have more than one user",
    ),
    "request numbers of another split": (
        lists(u="a", v="b").assign(request_id=[0, 1]),
        truths(v="a", u="b").assign(request_id=[0, 1]),
        "2 requests have one user in recommendations and another in truth",
    ),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_bad_frames_are_refused_with_what_is_wrong(case: str) -> None:
    recommendations, truth, message = BAD_FRAMES[case]
    with pytest.raises(DataError, match=message):
        _report(recommendations, truth)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (truths(u="a"), "truth has no column 'seen'"),
        (truths(u="a").assign(seen="no"), "truth.seen must be true or false in every row"),
        (truths(u="a").assign(seen=True), "seen='drop' leaves no truth: all 1 rows"),
    ],
)
def test_seen_policy_drop_needs_a_truth_that_says_what_was_seen(truth: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _report(lists(u="a"), truth, seen="drop")


@pytest.mark.parametrize(
    ("metrics", "settings", "message"),
    [
        ([], {}, "got no metric"),
        ([NDCG], {}, "is no metric"),
        (["ndcg"], {}, "'ndcg' is no metric"),
        ([NDCG(5), NDCG(5)], {}, "ndcg_at_5 more than once"),
        ([NDCG(5)], {"seen": "dropp"}, r"seen must be 'keep' or 'drop', got 'dropp'. Did you mean 'drop'\?"),
        ([Coverage(5)], {}, "Coverage needs the catalog"),
        ([Coverage(5)], {"catalog_size": 0}, "catalog_size must be at least 1, got 0"),
        (
            [Coverage(5)],
            {"catalog": "abc", "catalog_size": 5},
            "catalog has 3 items, but catalog_size is 5",
        ),
    ],
)
def test_impossible_settings_are_refused(metrics: list[object], settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(lists(u="a"), truths(u="a"), metrics, **settings)  # type: ignore[arg-type]


def test_catalog_of_other_ids_is_refused() -> None:
    with pytest.raises(DataError, match="catalog has none of the 2 items recommended: it is like 1, 2, they are"):
        evaluate(lists(u="ab"), truths(u="a"), [Coverage(2)], catalog=[1, 2])


def test_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(importlib.import_module("recattn.evaluation.evaluate")).failed == 0


def test_empty_catalog_is_refused() -> None:
    with pytest.raises(DataError, match="catalog is empty"):
        _report(lists(u="a"), truths(u="a"), catalog=[])


def test_summary_equals_a_plain_loop_over_requests() -> None:
    rng = np.random.default_rng(11)
    recommendations = pd.concat(
        [
            pd.DataFrame({"user_id": u, "item_id": rng.permutation(30)[:n], "rank": np.arange(1, n + 1)})
            for u in range(25)
            if (n := int(rng.integers(0, 12)))
        ],
        ignore_index=True,
    )
    truth = pd.DataFrame({"user_id": rng.integers(25, size=90), "item_id": rng.integers(30, size=90)})
    report = evaluate(recommendations, truth, [NDCG(5), Recall(5)])
    ndcgs, recalls = [], []
    for user, wanted in truth.groupby("user_id", sort=False)["item_id"]:
        relevant = set(wanted)
        top = recommendations.loc[recommendations["user_id"] == user, "item_id"].tolist()[:5]
        gain = sum(1 / log2(place + 2) for place, item in enumerate(top) if item in relevant)
        ndcgs.append(gain / sum(1 / log2(place + 2) for place in range(min(5, len(relevant)))))
        recalls.append(len(relevant & set(top)) / len(relevant))
    np.testing.assert_allclose(report.per_request["ndcg_at_5"], ndcgs, rtol=1e-12)
    np.testing.assert_allclose(report.per_request["recall_at_5"], recalls, rtol=1e-12)
