"""One request a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import ModelConfig
from recattn.errors import ConfigError, DataError
from recattn.recommender import Recommender
from recattn.tracking.pyfunc import RequestScorer

START = 1_700_000_000
HISTORY = {"history_items": ["i00", "i01", "i02"], "history_times": [START, START + 60, START + 3600]}
NOW = START + 7200


@pytest.fixture(scope="module")
def scorer(rich: Recommender) -> RequestScorer:
    """Over the model that uses everything."""
    return RequestScorer(rich)


@pytest.fixture(scope="module")
def ordered(small_model: Any, small_train: Any, world: Any) -> Recommender:
    """A model of whole numbers as ids that knows no times."""
    log = world.train.assign(item_id=world.train["item_id"].str[1:].astype(int))
    return Recommender(small_model(time="order", ties="order"), small_train(max_epochs=1)).fit(log)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in columns.items()})


def one(scorer: RequestScorer, params: dict[str, Any] | None = None, **columns: Any) -> tuple[list, list]:
    row = scorer.predict(frame(**columns), params).iloc[0]
    return row["item_id"], row["score"]


def log(**columns: Any) -> pd.DataFrame:
    named = {"item_id": columns["history_items"], "timestamp": columns["history_times"]}
    return pd.DataFrame({"user_id": "me", **named, "event_type": columns.get("history_events")})


def slate(*items: str, moment: int = NOW) -> pd.DataFrame:
    return pd.DataFrame({"user_id": "me", "item_id": list(items), "timestamp": moment})


@pytest.mark.filterwarnings("ignore:the model was fitted with", "ignore:the requests have none")
@pytest.mark.parametrize("events", [["view", "buy", "buy"], ["view", None, "elsewhere"]])
def test_scores_are_those_of_the_recommender(scorer: RequestScorer, rich: Recommender, events: list[Any]) -> None:
    history = HISTORY | {"history_events": events}
    items, scores = one(scorer, **history, as_of=NOW, candidates=["i05", "i13", "i03"])
    expected = rich.score(slate("i05", "i13", "i03"), history=log(**history))
    assert items == ["i05", "i13", "i03"]
    assert scores == pytest.approx(expected["score"].tolist(), rel=1e-5)


@pytest.mark.filterwarnings("ignore:the model was fitted with", "ignore:the requests have none")
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_best_of_the_catalog_are_those_of_the_recommender(
    scorer: RequestScorer, rich: Recommender, exclude_seen: bool
) -> None:
    items, scores = one(scorer, {"k": 5, "exclude_seen": exclude_seen}, **HISTORY, as_of=NOW)
    asked = pd.DataFrame({"user_id": ["me"], "timestamp": [NOW]})
    history = log(**HISTORY).drop(columns="event_type")
    expected = rich.recommend(asked, history=history, k=5, exclude_seen=exclude_seen)
    assert items == expected["item_id"].tolist()
    assert scores == pytest.approx(expected["score"].tolist(), rel=1e-5)
    assert one(scorer, {"k": 5, "exclude_seen": exclude_seen}, **HISTORY, as_of=NOW, candidates=None)[0] == items


@pytest.mark.filterwarnings("ignore:the model was fitted with", "ignore:the requests have none")
def test_explanations_are_those_of_the_recommender(scorer: RequestScorer, rich: Recommender) -> None:
    asked = frame(**HISTORY, as_of=NOW, candidates=["i05", "gone", "i03"])
    found = scorer.predict(asked, {"explain": 2})["explanation"][0]
    expected = rich.explain(slate("i05", "i03"), history=log(**HISTORY).drop(columns="event_type"), top=2)
    assert [len(lines) for lines in found] == [2, 0, 2]
    lines = pd.DataFrame([line for lines in found for line in lines])
    assert lines["item_id"].tolist() == expected["history_item_id"].tolist()
    assert lines["timestamp"].tolist() == expected["history_timestamp"].tolist()
    assert lines["change"].tolist() == pytest.approx(expected["change"].tolist(), rel=1e-4, abs=1e-6)


def test_recommendations_are_explained_too_and_only_when_asked(scorer: RequestScorer) -> None:
    found = scorer.predict(frame(**HISTORY, as_of=NOW), {"k": 3, "explain": 1}).iloc[0]
    assert [len(lines) for lines in found["explanation"]] == [1, 1, 1]
    assert {line["item_id"] for lines in found["explanation"] for line in lines} <= set(HISTORY["history_items"])
    assert scorer.predict(frame(**HISTORY))["explanation"][0] == []


def test_a_candidate_the_catalog_lacks_has_no_score(scorer: RequestScorer) -> None:
    items, scores = one(scorer, history_items=[], candidates=["99", "i00"])
    assert items == ["99", "i00"]
    assert scores[0] is None
    assert isinstance(scores[1], float)
    assert one(scorer, history_items=[], candidates=["99"]) == (["99"], [None])


def test_rows_of_both_kinds_keep_their_places_and_do_not_touch_each_other(scorer: RequestScorer) -> None:
    rows = pd.DataFrame(
        {
            "history_items": [["i00"], None, np.array(["i11", "i02"]), [], ["i03"]],
            "history_times": [[START], None, np.array([START, START + 60]), None, [START]],
            "candidates": [["i01", "i02", "i03"], None, None, [], np.array(["i09"])],
        }
    )
    result = scorer.predict(rows, {"k": 2})
    assert result["item_id"].map(len).tolist() == [3, 2, 2, 0, 1]
    for row in range(len(rows)):
        alone = scorer.predict(rows.iloc[[row]], {"k": 2}).iloc[0]
        assert alone["item_id"] == result["item_id"][row]
        assert alone["score"] == pytest.approx(result["score"][row], rel=1e-5)


def test_the_moment_is_just_after_the_last_interaction_or_as_of(scorer: RequestScorer) -> None:
    last = HISTORY["history_times"][-1]
    at_the_end = one(scorer, **HISTORY, candidates=["i05"], as_of=last + 1)
    assert one(scorer, **HISTORY, candidates=["i05"]) == at_the_end
    assert one(scorer, **HISTORY, candidates=["i05"], as_of=np.float64("nan")) == at_the_end
    earlier = {name: values[:2] for name, values in HISTORY.items()}
    before = one(scorer, **HISTORY, candidates=["i05"], as_of=last)[1]
    assert before == pytest.approx(one(scorer, **earlier, candidates=["i05"], as_of=last)[1], rel=1e-6)
    assert before != pytest.approx(at_the_end[1], rel=1e-4)


def test_interactions_are_put_in_the_order_of_their_times(scorer: RequestScorer) -> None:
    turned = {name: values[::-1] for name, values in HISTORY.items()}
    assert one(scorer, **turned, candidates=["i05"]) == one(scorer, **HISTORY, candidates=["i05"])


def test_items_of_the_history_that_the_catalog_lacks_are_passed_over(scorer: RequestScorer) -> None:
    more = {"history_items": ["99", *HISTORY["history_items"]], "history_times": [1, *HISTORY["history_times"]]}
    assert one(scorer, **more, candidates=["i05"]) == one(scorer, **HISTORY, candidates=["i05"])


def test_a_history_without_times_warns_and_keeps_its_order(scorer: RequestScorer) -> None:
    with pytest.warns(UserWarning, match="history_times is missing, but the model was trained on times"):
        guessed = one(scorer, history_items=["i00", "i01"], as_of=START, candidates=["i05"])
    told = one(
        scorer, history_items=["i00", "i01"], history_times=[START - 2, START - 1], as_of=START, candidates=["i05"]
    )
    assert guessed == told


def test_ids_that_are_numbers_and_a_log_without_times(ordered: Recommender) -> None:
    history = pd.DataFrame({"user_id": "me", "item_id": [3, 4], "timestamp": [0, 1]})
    expected = ordered.score(pd.DataFrame({"user_id": "me", "item_id": [5, 6]}), history=history)
    scorer = RequestScorer(ordered)
    items, scores = one(scorer, history_items=["3", "4"], candidates=["5", "6"])
    assert items == ["5", "6"]
    assert scores == pytest.approx(expected["score"].tolist(), rel=1e-5)
    told = scorer.predict(frame(history_items=["3", "4"], candidates=["5"]), {"explain": 1})["explanation"][0]
    assert list(told[0][0]) == ["item_id", "change"]


def test_without_history_or_moment_the_whole_catalog_is_open(world: Any, small_train: Any) -> None:
    times = {f"i{number:02}": START + number for number in range(14)}
    items = world.items.assign(available_from=world.items["item_id"].map(times))
    model = Recommender(ModelConfig(dim=4, num_heads=1, num_layers=0, max_history=5), small_train(max_epochs=1))
    scorer = RequestScorer(model.fit(world.train, items=items))
    assert len(one(scorer, {"k": 14}, history_items=None)[0]) == 14
    assert len(one(scorer, {"k": 14}, history_items=None, as_of=START + 3)[0]) == 4


def test_an_empty_frame_gives_an_empty_frame(scorer: RequestScorer) -> None:
    result = scorer.predict(pd.DataFrame({"history_items": []}))
    assert result.columns.tolist() == ["item_id", "score", "explanation"]
    assert len(result) == 0


@pytest.mark.parametrize("name", ["history_times", "history_events"])
def test_lists_of_one_history_must_go_in_pairs(scorer: RequestScorer, name: str) -> None:
    with pytest.raises(DataError, match=f"row 0 has 3 history_items but 1 {name}"):
        one(scorer, **HISTORY | {name: [1]})


def test_a_frame_without_histories_is_refused(scorer: RequestScorer) -> None:
    with pytest.raises(DataError, match=r"no column 'history_items'; it has \['items'\]"):
        scorer.predict(pd.DataFrame({"items": [["10"]]}))


def test_one_id_in_place_of_a_list_is_refused(scorer: RequestScorer) -> None:
    with pytest.raises(DataError, match="history_items must hold a list in every row, or nothing; row 0 has 'i00'"):
        one(scorer, history_items="i00")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"k": "x"}, "k must be a whole number of at least 1, got 'x'"),
        ({"explain": -1}, "explain must be 0 or the number of interactions a score, got -1"),
        ({"explain": None}, "explain must be 0 .* got None"),
        ({"exclude_seen": "no"}, "exclude_seen must be true or false, got 'no'"),
    ],
)
def test_parameters_out_of_range_are_refused(scorer: RequestScorer, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        one(scorer, params, **HISTORY)
