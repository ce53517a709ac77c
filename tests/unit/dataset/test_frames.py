"""Tests of the exit door."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.frames import recommendations_frame, scores_frame
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import make_requests, make_slate_requests
from recattn.dataset.vocabulary import Vocabulary

ITEMS = Vocabulary("item_id", ["a", "b", "c"])


@pytest.fixture(scope="module")
def store() -> HistoryStore:
    frame = pd.DataFrame({"user_id": ["x", "y"], "item_id": ["a", "b"], "timestamp": [10, 20]})
    return HistoryStore.from_frame(frame, ITEMS)


def test_recommendations_go_by_request_then_rank_and_leave_empty_places_out(store: HistoryStore) -> None:
    requests = make_requests(store, ["y", "x", "z"])
    codes = np.array([[2, 3, 1], [1, 0, 0], [0, 0, 0]])
    scores = np.array([[3.0, 2, 1], [5, -np.inf, -np.inf], [-np.inf] * 3], dtype=np.float32)
    frame = recommendations_frame(requests, codes, scores, ITEMS, with_request_id=False)
    assert list(frame) == ["user_id", "item_id", "score", "rank"]
    assert frame["user_id"].tolist() == ["y", "y", "y", "x"]
    assert frame["item_id"].tolist() == ["b", "c", "a", "a"]
    assert frame["score"].tolist() == [3, 2, 1, 5]
    assert frame["rank"].tolist() == [1, 2, 3, 1]
    assert (frame["score"].dtype, frame["rank"].dtype) == (np.float32, np.int64)


def test_recommendations_name_their_request_where_asked(store: HistoryStore) -> None:
    requests = make_requests(store, pd.DataFrame({"request_id": ["r2", "r1"], "user_id": ["x", "x"]}))
    frame = recommendations_frame(requests, np.array([[1], [2]]), np.ones((2, 1)), ITEMS, with_request_id=True)
    assert list(frame) == ["request_id", "user_id", "item_id", "score", "rank"]
    assert frame["request_id"].tolist() == ["r2", "r1"]


def test_no_recommendations_are_an_empty_frame_of_the_same_form(store: HistoryStore) -> None:
    frame = recommendations_frame(
        make_requests(store, []), np.zeros((0, 5), int), np.zeros((0, 5)), ITEMS, with_request_id=True
    )
    assert list(frame) == ["request_id", "user_id", "item_id", "score", "rank"]
    assert len(frame) == 0


def test_scores_come_back_on_the_rows_of_the_slate_in_its_order_and_index(store: HistoryStore) -> None:
    slate = pd.DataFrame(
        {"user_id": list("xyxy"), "item_id": ["a", "b", "c", "a"], "note": list("pqrs")}, index=[7, 7, 1, 0]
    )
    requests = make_slate_requests(store, slate, as_of=15)
    assert requests.candidates is not None
    frame = scores_frame(slate, requests, requests.candidates.astype(np.float32))
    assert frame["score"].tolist() == [1, 2, 3, 1]
    assert frame["reason"].fillna("").tolist() == ["", "no_history", "", "no_history"]
    pd.testing.assert_frame_equal(frame[list(slate)], slate)
    assert list(slate) == ["user_id", "item_id", "note"]


def test_unknown_items_have_no_score_but_a_reason(store: HistoryStore) -> None:
    slate = pd.DataFrame({"user_id": ["x", "nobody", "x"], "item_id": ["?", "?", "b"]})
    requests = make_slate_requests(store, slate)
    frame = scores_frame(slate, requests, np.array([9.0, 4, 3], dtype=np.float32))  # x's two candidates come first
    np.testing.assert_array_equal(frame["score"], np.float32([np.nan, np.nan, 4]))
    assert frame["reason"].fillna("").tolist() == ["unknown_item", "unknown_item", ""]


def test_an_empty_slate_has_no_scores(store: HistoryStore) -> None:
    slate = pd.DataFrame({"user_id": ["x"], "item_id": ["a"]}).iloc[:0]
    frame = scores_frame(slate, make_slate_requests(store, slate), np.zeros(0, np.float32))
    assert list(frame) == ["user_id", "item_id", "score", "reason"]
    assert len(frame) == 0
