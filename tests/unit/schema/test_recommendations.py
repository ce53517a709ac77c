"""Tests of recommendation frames and k at the door."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.schema import check_k, check_recommendations


def recommended(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": [1, 2, 1], **columns})


def test_rank_follows_from_score_with_ties_in_row_order() -> None:
    out = check_recommendations(
        pd.DataFrame({"user_id": ["a", "b", "a", "a"], "item_id": [1, 1, 2, 3], "score": [0.5, 1.0, 0.9, 0.5]})
    )
    assert list(out.columns) == ["user_id", "item_id", "score", "rank"]
    assert out["rank"].tolist() == [2, 1, 1, 3]


def test_given_ranks_are_kept_without_scores() -> None:
    out = check_recommendations(recommended(rank=[2.0, 1.0, 1.0]))
    assert out["rank"].dtype == np.int64
    assert out["rank"].tolist() == [2, 1, 1]


def test_requests_are_the_key_where_they_are_given() -> None:
    frame = recommended(request_id=[1, 2, 3], score=[1.0, 1.0, 1.0])
    assert check_recommendations(frame)["rank"].tolist() == [1, 1, 1]


def test_no_recommendation_is_fine() -> None:
    assert check_recommendations(recommended(rank=[1, 2, 1]).iloc[:0]).empty


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "has no column 'rank'"),
        ({"score": [1.0, np.nan, 2.0]}, "1 with a score that is no finite number"),
        ({"rank": [0, 1, 1]}, "1 with a rank that is no whole number >= 1"),
        ({"rank": [1, 1, 1]}, "1 rows repeat an earlier rank of their user_id"),
        ({"rank": [1, 2, 1], "item_id": [1, 1, 1]}, "1 rows repeat an earlier item_id of their user_id"),
        ({"rank": [1, 2, 1], "item_id": [1, None, 1]}, "1 with a null item_id"),
    ],
)
def test_bad_recommendations_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_recommendations(recommended(**columns))


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", None, True])
def test_k_must_be_a_positive_whole_number(k: object) -> None:
    with pytest.raises(ConfigError, match=r"k must be a whole number of at least 1, got"):
        check_k(k)


def test_k_may_not_pass_the_catalog() -> None:
    assert check_k(np.int64(3), 3) == 3
    with pytest.raises(ConfigError, match=r"k = 4 is more than the 3 items there are"):
        check_k(4, 3)
