"""The table of recommendations that people look at."""

from __future__ import annotations

import pandas as pd

from recattn.tracking.samples import sample_table

LISTS = pd.DataFrame(
    {
        "request_id": [7, 7, 8, 9],
        "user_id": ["ann", "ann", "bob", "ann"],
        "item_id": [10, 11, 12, 10],
        "score": [2.0, 1.23456789, 3.0, 4.0],
        "rank": [1, 2, 1, 1],
    }
)


def test_a_request_is_a_row_with_its_titles_by_rank() -> None:
    table = sample_table(LISTS, {10: "Emma", 11: "Ulysses"}, 2, hash_ids=False)
    assert table.to_dict("records") == [
        {
            "user": "ann",
            "recommended": "1. Emma  2. Ulysses",
            "1": "Emma",
            "2": "Ulysses",
            "items": "10, 11",
            "scores": "2, 1.235",
        },
        {"user": "bob", "recommended": "1. 12", "1": "12", "2": "", "items": "12", "scores": "3"},
    ]


def test_a_users_second_request_has_a_row_of_its_own() -> None:
    assert sample_table(LISTS, None, 9, hash_ids=False)["user"].tolist() == ["ann", "bob", "ann #2"]


def test_lists_by_user_alone_and_titles_in_a_series() -> None:
    titles = pd.Series({12: "Emma"})
    table = sample_table(LISTS.drop(columns="request_id").tail(2), titles, 5, hash_ids=True)
    assert table["1"].tolist() == ["Emma", "10"]
    assert not table["user"].isin(["ann", "bob"]).any()


def test_ten_ranks_are_shown_at_most() -> None:
    lists = pd.DataFrame({"user_id": "ann", "item_id": range(30), "score": 0.0, "rank": range(1, 31)})
    assert sample_table(lists, None, 1, hash_ids=False).columns.tolist()[-3:] == ["10", "items", "scores"]


def test_no_recommendations_no_rows() -> None:
    assert len(sample_table(LISTS.head(0), {10: "Emma"}, 3, hash_ids=True)) == 0


def test_reasons_say_which_interaction_moved_a_score_most() -> None:
    reasons = pd.DataFrame(
        {
            "row": [0, 0, 2],
            "request_id": [7, 7, 8],
            "item_id": [10, 10, 12],
            "rank": [1, 2, 1],
            "history_item_id": [11, 12, 99],
            "change": [0.314, 0.1, -2.0],
        }
    )
    table = sample_table(LISTS, {10: "Emma", 11: "Ulysses"}, 2, hash_ids=False, reasons=reasons)
    assert table["why"].tolist() == ["Emma: Ulysses +0.31", "12: 99 -2"]
