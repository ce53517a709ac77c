"""Requests cut into groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.evaluation import Coverage, Recall, Report, evaluate
from recattn.evaluation.segments import bins
from recattn.schema import DataWarning

LISTS = pd.DataFrame({"user_id": list("uvwx"), "item_id": list("abca"), "rank": 1})
TRUTH = pd.DataFrame({"user_id": list("vuwx"), "item_id": list("bacz")})
SEGMENTS = pd.DataFrame(
    {
        "user_id": list("uvwxy"),
        "history_length": [0, 7, 3, 3, 99],
        "cold": [False, False, True, True, False],
        "device": ["tv", "phone", "tv", "phone", "tv"],
    }
)


def report(segments: object = SEGMENTS, **more: object) -> Report:
    metrics = [Recall(1), Coverage(1)]
    return evaluate(LISTS, TRUTH, metrics, catalog=list("abcz"), segments=segments, **more)  # type: ignore[arg-type]


def test_segments_stand_beside_the_metrics_of_each_request() -> None:
    found = report()
    assert found.per_request.columns.tolist() == ["user_id", "recall_at_1", "history_length", "cold", "device"]
    assert found.per_request["history_length"].tolist() == [7, 0, 3, 3]
    assert found.per_request["cold"].dtype == bool
    assert found.policy["segments"] == "history_length,cold,device"
    assert found.segment_columns == ["history_length", "cold", "device"]


def test_segments_meet_by_request_where_the_report_does() -> None:
    segments = pd.DataFrame({"request_id": [1, 0, 2, 3], "user_id": "?", "hour": [1, 0, 2, 3]})
    lists, truth = LISTS.assign(request_id=[0, 1, 2, 3]), TRUTH.assign(request_id=[1, 0, 2, 3])
    assert evaluate(lists, truth, Recall(1), segments=segments).per_request["hour"].tolist() == [1, 0, 2, 3]


def test_requests_that_segments_lack_have_no_value() -> None:
    found = report(SEGMENTS.query("user_id != 'v'"))
    assert found.per_request["history_length"].dtype == "Int64"
    assert found.per_request["history_length"].isna().tolist() == [True, False, False, False]
    assert found.by_segment("cold").to_dict("list") == {
        "segment": ["no", "yes", "unknown"],
        "requests": [1, 2, 1],
        "recall_at_1": [1.0, 1 / 2, 1.0],
    }


def test_a_report_without_segments_says_so() -> None:
    found = report(None)
    assert "segments" not in found.policy
    with pytest.raises(ConfigError, match=r"no segment column 'cold'. It has none: evaluate\(..., segments=frame\)"):
        found.by_segment("cold")


def test_by_segment_has_the_mean_of_each_group_in_their_order() -> None:
    assert report().by_segment("history_length").to_dict("list") == {
        "segment": ["0", "1-4", "5-9"],
        "requests": [1, 2, 1],
        "recall_at_1": [1.0, 1 / 2, 1.0],
    }
    assert report().segment("device").to_dict() == {"v": "phone", "u": "tv", "w": "tv", "x": "phone"}


def test_a_segment_is_no_metric_and_a_metric_no_segment() -> None:
    with pytest.raises(ConfigError, match=r"'history_length' is not in this report.* there are: recall_at_1\."):
        report().values("history_length")
    with pytest.raises(ConfigError, match=r"no segment column 'history'. Did you mean 'history_length'\?"):
        report().segment("history")
    with pytest.raises(ConfigError, match="no segment column 'recall_at_1'"):
        report().by_segment("recall_at_1")


@pytest.mark.parametrize(
    ("segments", "error", "message"),
    [
        ("file.csv", DataError, "segments must be a DataFrame with a column 'user_id', got str"),
        (SEGMENTS.rename(columns={"user_id": "user"}), DataError, "with a column 'user_id', got 'user', 'history_len"),
        (SEGMENTS[["user_id"]], DataError, "segments has ids only"),
        (pd.concat([SEGMENTS] * 2), DataError, "more than one row for 5 values of user_id"),
        (SEGMENTS.assign(user_id=range(5)), DataError, "user_id is int in segments .* but str in truth"),
        (SEGMENTS.assign(user_id=list("abcde")), DataError, "segments has none of the requests judged"),
        (SEGMENTS.assign(recall_at_1=0), ConfigError, "segments may not have a column 'recall_at_1'"),
        (SEGMENTS.rename(columns={"cold": "a,b"}), ConfigError, "names of segments hold no comma"),
    ],
)
def test_segments_that_do_not_fit_are_refused(segments: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        report(segments)


def test_history_lengths_have_fixed_groups() -> None:
    lengths = pd.Series([0, 1, 4, 5, 9, 10, 19, 20, 49, 50, 5000], name="history_length")
    expected = ["0", "1-4", "1-4", "5-9", "5-9", "10-19", "10-19", "20-49", "20-49", "50+", "50+"]
    assert bins(lengths).tolist() == expected


def test_popularity_goes_from_cold_to_head() -> None:
    found = bins(pd.Series(["head", "tail", "cold", "mid"], name="popularity"))
    assert found.cat.categories.tolist() == ["cold", "tail", "mid", "head"]


def test_numbers_with_many_values_are_cut_into_quarters_with_zeros_of_popularity_apart() -> None:
    values = pd.Series([0] * 10 + list(range(1, 101)), name="target_popularity", dtype=float)
    assert bins(values).value_counts(sort=False).to_dict() == {
        "0": 10,
        "1 to 25": 25,
        "26 to 50": 25,
        "51 to 75": 25,
        "76 to 100": 25,
    }
    assert bins(values.rename("price")).cat.categories[0] == "0 to 18"


def test_a_value_that_most_requests_have_does_not_break_quarters() -> None:
    values = pd.Series([1.0] * 90 + list(np.linspace(2, 3, 20)), name="price")
    assert bins(values).value_counts(sort=False).sum() == 110


def test_rare_values_of_many_go_together() -> None:
    values = pd.Series([f"v{n:02d}" for n in range(30) for _ in range(30 - n)], name="city")
    found = bins(values)
    assert found.cat.categories.tolist() == [*(f"v{n:02d}" for n in range(11)), "other"]
    assert found.value_counts()["other"] == sum(30 - n for n in range(11, 30))


def test_few_numbers_and_booleans_are_groups_in_their_order() -> None:
    assert bins(pd.Series([10, 9, 10, 2])).cat.categories.tolist() == ["2", "9", "10"]
    assert bins(pd.Series([True, False, None], dtype="boolean")).tolist() == ["yes", "no", "unknown"]
    assert bins(pd.Series([], dtype="int64", name="history_length")).tolist() == []


def test_policy_tells_when_the_truth_happened() -> None:
    found = evaluate(LISTS, TRUTH.assign(timestamp=[86400, 5, 7, 9]), Recall(1))
    assert (found.policy["truth_from"], found.policy["truth_until"]) == ("1970-01-01T00:00:05Z", "1970-01-02T00:00:00Z")
    assert "truth_from" not in report().policy


def test_times_of_the_truth_that_cannot_be_read_are_a_warning() -> None:
    with pytest.warns(DataWarning, match="The times of the truth are not noted. truth has 1 with an unparsable"):
        found = evaluate(LISTS, TRUTH.assign(timestamp=["2024-01-01", "soon", None, None]), Recall(1))
    assert "truth_from" not in found.policy
