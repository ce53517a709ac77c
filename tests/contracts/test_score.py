"""What `score` promises, whoever does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.errors import DataError

SLATE = pd.DataFrame(
    {
        "note": ["a", "b", "c", "d", "e"],
        "item_id": ["i03", "i13", "i99", "i03", "i04"],
        "user_id": ["u00", "u02", "u00", "nobody", "u02"],
    },
    index=[7, 3, 3, 90, -1],
)


def test_rows_come_back_in_order_with_all_they_had(model: Any, world: Any) -> None:
    found = model.score(SLATE, history=world.log)
    assert list(found.columns) == ["note", "item_id", "user_id", "score", "reason"]
    pd.testing.assert_frame_equal(found[SLATE.columns], SLATE)
    assert found["score"].dtype == np.float32


def test_reasons_say_what_is_not_known(model: Any, world: Any) -> None:
    found = model.score(SLATE, history=world.log)
    assert found["reason"].fillna("").tolist() == ["", "", "unknown_item", "no_history", ""]
    assert found["score"].isna().tolist() == [False, False, True, False, False]


def test_a_moment_before_all_history_is_without_history(model: Any, world: Any) -> None:
    found = model.score(SLATE.head(2), history=world.log, as_of=int(world.log["timestamp"].min()))
    assert found["reason"].tolist() == ["no_history"] * 2
    assert found["score"].notna().all()


def test_the_same_call_gives_the_same_frame(model: Any, world: Any) -> None:
    first = model.score(SLATE, history=world.log)
    model.score(SLATE.head(1), history=world.train)
    pd.testing.assert_frame_equal(model.score(SLATE, history=world.log), first, check_exact=True)


def test_the_order_of_the_slate_changes_no_score(model: Any, world: Any) -> None:
    expected = model.score(SLATE, history=world.log).sort_values("note")["score"]
    shuffled = model.score(SLATE.sample(frac=1, random_state=2), history=world.log).sort_values("note")["score"]
    np.testing.assert_allclose(shuffled, expected, rtol=1e-5, atol=1e-6)


def test_a_score_does_not_hang_on_the_other_candidates(model: Any, world: Any) -> None:
    whole = model.score(SLATE, history=world.log)["score"]
    alone = [model.score(SLATE.iloc[[row]], history=world.log)["score"].iloc[0] for row in (0, 1, 4)]
    np.testing.assert_allclose(alone, whole.iloc[[0, 1, 4]], rtol=1e-4, atol=1e-6)


def test_recommended_items_have_the_scores_they_get_in_a_slate(model: Any, world: Any) -> None:
    best = model.recommend(["u00", "u07"], history=world.log, k=4)
    found = model.score(best[["user_id", "item_id"]], history=world.log)
    np.testing.assert_allclose(found["score"], best["score"], rtol=1e-4, atol=1e-6)


def test_requests_of_one_slate_have_their_own_moments(model: Any, world: Any) -> None:
    moments = [int(world.log["timestamp"].min()), int(world.log["timestamp"].max()) + 1]
    slate = pd.DataFrame({"request_id": [1, 2, 1, 2], "user_id": "u00", "item_id": ["i03", "i03", "i04", "i04"]})
    slate["timestamp"] = [moments[0], moments[1]] * 2
    found = model.score(slate, history=world.log)
    assert found["reason"].fillna("").tolist() == ["no_history", ""] * 2
    for number, moment in enumerate(moments, start=1):
        mine = slate[slate["request_id"] == number].drop(columns=["request_id", "timestamp"])
        expected = model.score(mine, history=world.log, as_of=moment)["score"]
        np.testing.assert_allclose(found["score"][slate["request_id"] == number], expected, rtol=1e-5, atol=1e-6)


def test_an_empty_slate_gives_an_empty_frame(model: Any, world: Any) -> None:
    found = model.score(SLATE.head(0), history=world.log)
    assert len(found) == 0
    assert list(found.columns) == ["note", "item_id", "user_id", "score", "reason"]


def test_a_slate_may_be_a_file(model: Any, world: Any, tmp_path: Path) -> None:
    SLATE.to_csv(tmp_path / "slate.csv", index=False)
    found = model.score(tmp_path / "slate.csv", history=world.log)
    np.testing.assert_allclose(found["score"], model.score(SLATE, history=world.log)["score"])


def test_the_frames_given_are_not_changed(model: Any, world: Any) -> None:
    history, slate = world.log.copy(), SLATE.assign(timestamp=pd.Timestamp("2024-01-01"))
    before = slate.copy()
    found = model.score(slate, history=history)
    found["user_id"] = "changed"
    pd.testing.assert_frame_equal(history, world.log)
    pd.testing.assert_frame_equal(slate, before)


def test_a_slate_of_strangers_only_is_refused(model: Any, world: Any) -> None:
    with pytest.raises(
        DataError, match=r"history has no interactions of the 5 users asked about \('0', '1', '2' and 2"
    ):
        model.score(SLATE.assign(user_id=list("01234")), history=world.log)


@pytest.mark.parametrize(
    ("slate", "message"),
    [
        (SLATE.drop(columns="item_id"), r"slate has no column 'item_id'"),
        (SLATE.rename(columns={"user_id": "userid"}), r"slate has no column 'user_id'.*'userid'"),
        (
            SLATE.assign(user_id=[None, *SLATE["user_id"][1:]]),
            r"slate has 1 of 5 rows that cannot be used: 1 with a null",
        ),
        (SLATE.assign(timestamp="yesterday?"), r"slate has 5 of 5 rows that cannot be used: 5 with"),
    ],
)
def test_a_slate_that_breaks_a_rule_is_refused(model: Any, world: Any, slate: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.score(slate, history=world.log)


def test_a_slate_whose_item_ids_are_of_another_kind_than_the_models_is_refused(model: Any, world: Any) -> None:
    with pytest.raises(DataError, match=r"item_id is int in slate \(such as 0\) but str in the model"):
        model.score(SLATE.assign(item_id=range(len(SLATE))), history=world.log)
