"""Tests of generators that come from frames and recommenders, alone and merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.baselines import ItemKNN, Recency
from recattn.candidates import FromFrame, Neighbors, Popular, Recommended, Retrieval, Union, with_rank
from recattn.errors import ConfigError, DataError
from recattn.evaluation import Recall, evaluate

DAY = 86_400
START = 1_700_000_000
ASKED = pd.DataFrame({"user_id": ["u1", "u2", "u9"]})


def rows(frame: pd.DataFrame) -> list[list[object]]:
    return frame.to_numpy().tolist()


def test_a_frame_is_ordered_by_its_rank_its_score_or_as_it_stands(diary: pd.DataFrame) -> None:
    frame = pd.DataFrame({"user_id": ["u1", "u9", "u1", "u1"], "item_id": list("abcb")})
    kept = [["u1", "a", "frame", 1], ["u1", "c", "frame", 2], ["u9", "b", "frame", 1]]
    assert rows(FromFrame(frame).candidates(ASKED, history=diary, k=2)) == kept
    scored = FromFrame(frame.assign(score=[1, 1, 3, 2])).candidates(ASKED, history=diary, k=2)
    assert scored["item_id"].tolist() == ["c", "b", "b"]
    ranked = FromFrame(frame.assign(score=[1, 1, 3, 2], rank=[3, 1, 2, 1])).candidates(ASKED, history=diary, k=5)
    assert ranked["item_id"].tolist() == ["b", "c", "a", "b"]


def test_a_frame_without_users_is_for_everybody(diary: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "editors.csv"
    pd.DataFrame({"sku": ["d", "a", "d"]}).to_csv(path, index=False)
    found = FromFrame(path, "editors", columns={"item_id": "sku"}).candidates(ASKED, history=diary, k=9)
    assert found.groupby("user_id")["item_id"].agg(list).to_dict() == {user: ["d", "a"] for user in ASKED["user_id"]}
    assert set(found["source"]) == {"editors"}


def test_a_frame_of_candidates_may_name_requests(diary: pd.DataFrame) -> None:
    asked = pd.DataFrame({"request_id": [10, 11], "user_id": ["u1", "u1"]})
    frame = pd.DataFrame({"request_id": [11, 10], "user_id": ["u1", "u1"], "item_id": ["a", "b"]})
    found = FromFrame(frame).candidates(asked, history=diary, k=3)
    assert found[["request_id", "item_id"]].to_numpy().tolist() == [[10, "b"], [11, "a"]]
    with pytest.raises(DataError, match="names requests by request_id, but the requests have none"):
        FromFrame(frame.drop(columns="user_id")).candidates(ASKED, history=diary, k=3)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame({"user_id": ["u1"], "sku": ["a"]}), r"no column 'item_id'.*columns=\{'item_id': 'sku'\}"),
        (pd.DataFrame({"user_id": [], "item_id": []}), "is empty: it has no row"),
        (pd.DataFrame({"user_id": [1], "item_id": ["a"]}), "user_id is int in the frame of candidates .* but str in"),
        (pd.DataFrame({"user_id": ["u1"], "item_id": [None]}), "1 with a null item_id"),
    ],
)
def test_frames_that_cannot_be_used_say_why(frame: pd.DataFrame, says: str, diary: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=says):
        FromFrame(frame).candidates(ASKED, history=diary, k=3)


def test_neighbors_are_what_item_knn_lists_above_zero(diary: pd.DataFrame) -> None:
    knn = ItemKNN().fit(diary)
    found = Neighbors(fitted=knn).candidates(ASKED, history=diary, k=4)
    listed = knn.recommend(["u1", "u2"], history=diary, k=4)
    listed = listed[listed["score"] > 0]
    assert found[["user_id", "item_id", "source_rank"]].to_numpy().tolist() == rows(
        listed[["user_id", "item_id", "rank"]]
    )
    assert "u9" not in set(found["user_id"])


def test_neighbors_learn_only_from_before_the_earliest_moment(diary: pd.DataFrame) -> None:
    asked = pd.DataFrame(
        {"user_id": ["u3", "u2"], "timestamp": [1_700_000_000 + 7 * 86_400, 1_700_000_000 + 86_400 * 9]}
    )
    early = diary[diary["timestamp"] < asked["timestamp"].min()]
    expected = Neighbors(fitted=ItemKNN().fit(early)).candidates(asked, history=diary, k=9)
    pd.testing.assert_frame_equal(Neighbors().candidates(asked, history=diary, k=9), expected)
    assert expected["item_id"].tolist() == ["b"]
    with pytest.raises(DataError, match="nothing to learn from"):
        Neighbors().candidates(asked.assign(timestamp=5), history=diary, k=9)


def test_any_recommender_can_find_candidates(diary: pd.DataFrame) -> None:
    recency = Recency("3D").fit(diary)
    found = Recommended(recency, "fresh").candidates(ASKED.head(2), history=diary, k=2)
    expected = recency.recommend(["u1", "u2"], history=diary, k=2)
    assert found["item_id"].tolist() == expected["item_id"].tolist()
    assert set(found["source"]) == {"fresh"}


def test_retrieval_lists_what_the_model_retrieves(rich: Any, world: Any) -> None:
    asked = world.log[["user_id"]].drop_duplicates().assign(device="phone", hour=3.0)
    options = {"history": world.train, "k": 5}
    found = Retrieval(rich, users=world.users).candidates(asked, **options)
    expected = rich.recommend(asked, user_features=world.users, stage="retrieval", **options)
    columns = ["user_id", "item_id"]
    assert rows(found[[*columns, "source_rank"]]) == rows(expected[[*columns, "rank"]])
    with pytest.raises(ConfigError, match=r"Pass Retrieval\(model\)"):
        Retrieval().candidates(asked, **options)


def test_a_union_takes_turns_and_keeps_the_first_source(diary: pd.DataFrame) -> None:
    first = FromFrame(pd.DataFrame({"item_id": list("abc")}), "one")
    second = FromFrame(pd.DataFrame({"item_id": list("dbe")}), "two")
    found = Union([first, second]).candidates(ASKED.head(1), history=diary, k=5)
    assert rows(found[["item_id", "source", "source_rank"]]) == [
        ["a", "one", 1],
        ["d", "two", 1],
        ["b", "one", 2],
        ["c", "one", 3],
        ["e", "two", 3],
    ]
    assert (
        Union([first, second], k=2).candidates(ASKED, history=diary, k=5).groupby("user_id").size().tolist() == [2] * 3
    )
    few = Union([first, second], each=1).candidates(ASKED.head(1), history=diary, k=5)
    assert few["item_id"].tolist() == ["a", "d"]


def test_a_union_is_no_less_than_its_parts(plain: Any, world: Any) -> None:
    """With room for all of them."""
    asked = world.log[["user_id"]].drop_duplicates()
    parts = [Popular(window="2h"), Neighbors(), Retrieval(plain)]
    whole = Union(parts, each=3).candidates(asked, history=world.train, k=99)
    pairs = set(zip(whole["user_id"], whole["item_id"], strict=True))
    each = [part.candidates(asked, history=world.train, k=3) for part in parts]
    assert pairs == {pair for part in each for pair in zip(part["user_id"], part["item_id"], strict=True)}
    truth = world.valid[["user_id", "item_id"]]
    recall = [evaluate(with_rank(frame), truth=truth, metrics=[Recall(99)]).summary["recall_at_99"] for frame in each]
    assert evaluate(with_rank(whole), truth=truth, metrics=[Recall(99)]).summary["recall_at_99"] >= max(recall)


class Strange:
    """Gives whatever it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def candidates(self, requests: pd.DataFrame, *, history: Any, k: int, as_of: Any = None) -> Any:
        return self.answer


def test_a_generator_that_answers_wrongly_is_told(diary: pd.DataFrame) -> None:
    good = pd.DataFrame({"user_id": ["u1"], "item_id": ["a"], "source": ["s"], "source_rank": [1]})
    with pytest.raises(DataError, match="must give a pandas DataFrame, got list"):
        Union([Strange([1])]).candidates(ASKED, history=diary, k=3)
    with pytest.raises(DataError, match=r"the frame of .*Strange.* has no column 'source_rank'"):
        Union([Strange(good.drop(columns="source_rank"))]).candidates(ASKED, history=diary, k=3)
    with pytest.warns(UserWarning, match=r"1 rows for a user_id that nobody asked about.*'u7'"):
        found = Union([Strange(pd.concat([good, good.assign(user_id="u7")]))]).candidates(ASKED, history=diary, k=3)
    assert found["user_id"].tolist() == ["u1"]
    assert Union([Strange(good.head(0))]).candidates(ASKED, history=diary, k=3).empty


def test_a_union_of_nothing_or_of_no_generators_is_refused() -> None:
    for parts in ([], Popular(), "popular"):
        with pytest.raises(ConfigError, match=r"Union.parts must be a list of at least one generator"):
            Union(parts)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"Union.parts\[1\] must be an object with a method 'candidates'"):
        Union([Popular(), ItemKNN()])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"Union.each must be a whole number of at least 1, got 0"):
        Union([Popular()], each=0)


def test_candidates_are_judged_by_their_place() -> None:
    frame = pd.DataFrame({"request_id": [1, 2, 1], "user_id": list("aba"), "item_id": [5, 6, 7]})
    assert with_rank(frame)["rank"].tolist() == np.array([1, 1, 2]).tolist()
