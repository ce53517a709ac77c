"""One request a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.errors import DataError
from recattn.tracking.pyfunc import RequestScorer

DAY = 86_400


@pytest.fixture
def scorer(fake_model: Any) -> RequestScorer:
    return RequestScorer(fake_model([10, 11, 12, 13]))


def one(scorer: RequestScorer, params: dict[str, Any] | None = None, **columns: Any) -> tuple[list, list]:
    frame = pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in columns.items()})
    row = scorer.predict(frame, params).iloc[0]
    return row["item_id"], row["score"]


def test_candidates_come_back_in_their_order_with_scores(scorer: RequestScorer) -> None:
    items, scores = one(scorer, history_items=["10", "11"], history_times=[1, 2], candidates=["13", "10", "12"])
    assert items == ["13", "10", "12"]
    assert scores == pytest.approx([4.2, 1.2, 3.2])


def test_a_candidate_the_catalog_lacks_has_no_score(scorer: RequestScorer) -> None:
    items, scores = one(scorer, history_items=[], candidates=["99", "10"])
    assert items == ["99", "10"]
    assert scores == [None, pytest.approx(1.0)]
    assert one(scorer, history_items=[], candidates=["99"]) == (["99"], [None])


def test_without_candidates_the_best_of_the_catalog_come(scorer: RequestScorer) -> None:
    asked = {"history_items": ["13"], "history_times": [1]}
    assert one(scorer, {"k": 2}, **asked)[0] == ["12", "11"]
    assert one(scorer, {"k": 2, "exclude_seen": False}, **asked)[0] == ["13", "12"]
    assert one(scorer, {"k": 2}, **asked, candidates=None)[0] == ["12", "11"]


def test_rows_of_both_kinds_keep_their_places_and_do_not_touch_each_other(scorer: RequestScorer) -> None:
    frame = pd.DataFrame(
        {
            "history_items": [["10"], None, np.array(["11", "12"]), []],
            "history_times": [[5], None, np.array([5 * DAY, 6 * DAY]), None],
            "candidates": [["11"], None, None, []],
        }
    )
    result = scorer.predict(frame, {"k": 1})
    assert result["item_id"].tolist() == [["11"], ["13"], ["13"], []]
    assert [pytest.approx(row) for row in result["score"]] == [[2.1], [4.0], [4.2], []]
    for row in range(4):
        alone = scorer.predict(frame.iloc[[row]], {"k": 1})
        assert alone["score"].tolist() == [result["score"][row]]


def test_the_moment_is_just_after_the_last_interaction_or_as_of(scorer: RequestScorer) -> None:
    asked = {"history_items": ["10", "11"], "history_times": [100, 200], "candidates": ["10"]}
    assert one(scorer, **asked)[1] == pytest.approx([1.2])
    assert one(scorer, **asked, as_of=None)[1] == pytest.approx([1.2])
    assert one(scorer, **asked, as_of=200)[1] == pytest.approx([1.1])
    assert one(scorer, **asked, as_of=np.float64("nan"))[1] == pytest.approx([1.2])


def test_items_of_the_history_that_the_catalog_lacks_are_passed_over(scorer: RequestScorer) -> None:
    _, scores = one(scorer, history_items=["99", "10"], history_times=[1, 2], candidates=["10"])
    assert scores == pytest.approx([1.1])


def test_ids_reach_the_model_in_its_own_type(scorer: RequestScorer) -> None:
    one(scorer, history_items=["10"], history_times=[1], candidates=["11"])
    history = scorer.model.histories[-1]  # type: ignore[attr-defined]
    assert history["item_id"].tolist() == [10]
    assert pd.api.types.is_integer_dtype(history["item_id"])


def test_events_go_with_their_interactions(scorer: RequestScorer) -> None:
    one(
        scorer,
        history_items=["10", "99", "11"],
        history_times=[1, 2, 3],
        history_events=["view", "view", "buy"],
        candidates=["10"],
    )
    history = scorer.model.histories[-1]  # type: ignore[attr-defined]
    assert history["event_type"].tolist() == ["view", "buy"]


def test_a_history_without_times_warns_and_keeps_its_order(scorer: RequestScorer) -> None:
    with pytest.warns(UserWarning, match="history_times is missing, but the model was trained on times"):
        _, scores = one(scorer, history_items=["10", "11"], as_of=1_000, candidates=["10"])
    assert scores == pytest.approx([1.2])
    assert scorer.model.histories[-1]["timestamp"].tolist() == [998, 999]  # type: ignore[attr-defined]


def test_without_history_or_moment_the_whole_catalog_is_open(fake_model: Any) -> None:
    model = fake_model([10, 11])
    model.items.available_from = np.array([0, 500, 900])
    scorer = RequestScorer(model)
    asked = scorer._asked
    seen: list[int] = []
    scorer._asked = lambda rows, moments: seen.extend(moments[rows]) or asked(rows, moments)  # type: ignore
    one(scorer, history_items=None)
    assert seen == [900]


def test_an_order_only_model_needs_no_times(fake_model: Any) -> None:
    scorer = RequestScorer(fake_model(["a", "b"], time="order"))
    assert one(scorer, history_items=["a"], candidates=["b"]) == (["b"], [pytest.approx(2.1)])


def test_an_empty_frame_gives_an_empty_frame(scorer: RequestScorer) -> None:
    result = scorer.predict(pd.DataFrame({"history_items": []}))
    assert result.columns.tolist() == ["item_id", "score"]
    assert len(result) == 0


@pytest.mark.parametrize("name", ["history_times", "history_events"])
def test_lists_of_one_history_must_go_in_pairs(scorer: RequestScorer, name: str) -> None:
    with pytest.raises(DataError, match=f"row 0 has 2 history_items but 1 {name}"):
        one(scorer, **{"history_times": [1, 2], name: [1], "history_items": ["10", "11"]})


def test_a_frame_without_histories_is_refused(scorer: RequestScorer) -> None:
    with pytest.raises(DataError, match=r"no column 'history_items'; it has \['items'\]"):
        scorer.predict(pd.DataFrame({"items": [["10"]]}))
