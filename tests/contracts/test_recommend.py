"""What `recommend` promises, whoever does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset import HistoryStore
from recattn.errors import ConfigError, DataError
from recattn.evaluation import NDCG, evaluate
from recattn.schema import DataWarning, check_recommendations

COLUMNS = ["user_id", "item_id", "score", "rank"]


def test_the_same_call_gives_the_same_frame(model: Any, world: Any) -> None:
    first = model.recommend(history=world.log, k=3)
    model.recommend(["u03"], history=world.train, k=9)
    pd.testing.assert_frame_equal(model.recommend(history=world.log, k=3), first, check_exact=True)


def test_lists_are_ranked_by_score_in_the_order_of_the_users(model: Any, world: Any) -> None:
    users = ["u07", "u00", "u11"]
    found = model.recommend(users, history=world.log, k=3)
    assert list(found.columns) == COLUMNS
    assert found.index.equals(pd.RangeIndex(9))
    assert found["user_id"].tolist() == [user for user in users for _ in range(3)]
    assert found["rank"].tolist() == [1, 2, 3] * 3
    assert (found["score"].dtype, found["rank"].dtype) == (np.float32, np.int64)
    for _, part in found.groupby("user_id"):
        assert part["score"].is_monotonic_decreasing
        assert part["item_id"].is_unique
    check_recommendations(found)


def test_without_users_everybody_in_the_history_is_asked_about(model: Any, world: Any) -> None:
    some = world.log[world.log["user_id"].isin(["u02", "u05"])]
    assert model.recommend(history=some, k=1)["user_id"].tolist() == ["u02", "u05"]


def test_a_user_asked_about_twice_gets_two_lists(model: Any, world: Any) -> None:
    found = model.recommend(["u01", "u01"], history=world.log, k=2)
    assert found["rank"].tolist() == [1, 2, 1, 2]
    assert found["item_id"].tolist()[:2] == found["item_id"].tolist()[2:]


@pytest.mark.parametrize("wrap", [tuple, pd.Series, np.array, iter, lambda users: dict.fromkeys(users).keys()])
def test_users_come_in_any_collection(model: Any, world: Any, wrap: Any) -> None:
    expected = model.recommend(["u01", "u04"], history=world.log, k=2)
    pd.testing.assert_frame_equal(model.recommend(wrap(["u01", "u04"]), history=world.log, k=2), expected)


def test_nobody_asked_about_gives_an_empty_frame(model: Any, world: Any) -> None:
    assert list(model.recommend([], history=world.log).columns) == COLUMNS
    assert len(model.recommend([], history=world.log)) == 0


def test_requests_are_named_where_they_have_names(model: Any, world: Any) -> None:
    moment = int(world.log["timestamp"].max())
    requests = pd.DataFrame(
        {"request_id": ["r9", "r1"], "user_id": ["u01", "u00"], "timestamp": [moment, moment - 7200]}
    )
    found = model.recommend(requests, history=world.log, k=2)
    assert list(found.columns) == ["request_id", *COLUMNS]
    assert found["request_id"].tolist() == ["r9", "r9", "r1", "r1"]
    unnamed = model.recommend(requests.drop(columns="request_id"), history=world.log, k=2)
    pd.testing.assert_frame_equal(unnamed, found.drop(columns="request_id"))


def test_evaluate_takes_what_is_recommended(model: Any, world: Any) -> None:
    truth = world.valid[["user_id", "item_id"]]
    report = evaluate(model.recommend(history=world.train, k=5), truth, NDCG(5))
    assert report.policy["requests_without_recommendations"] == 0


def test_k_beyond_the_catalog_ends_the_lists_with_a_word(model: Any, world: Any) -> None:
    with pytest.warns(DataWarning, match="k = 1,000,000,000 is more than the 14 items to choose from: lists end there"):
        found = model.recommend(["u00", "u01"], history=world.log, k=10**9, exclude_seen=False)
    assert found.groupby("user_id")["item_id"].nunique().tolist() == [14, 14]
    assert found["rank"].max() == 14


@pytest.mark.parametrize("k", [0, -3, 2.5, True, "ten", None])
def test_an_impossible_k_is_refused(model: Any, world: Any, k: Any) -> None:
    with pytest.raises(ConfigError, match=f"k must be a whole number of at least 1, got {k!r}"):
        model.recommend(["u00"], history=world.log, k=k)


def test_seen_items_are_left_out_unless_asked_for(model: Any, world: Any) -> None:
    seen = world.log.groupby("user_id")["item_id"].agg(set)
    unseen = model.recommend(history=world.log, k=5)
    assert unseen.groupby("user_id").size().eq(5).all()
    assert not [row for row in unseen.itertuples() if row.item_id in seen[row.user_id]]
    with_seen = model.recommend(history=world.log, k=14, exclude_seen=False)
    assert with_seen.groupby("user_id").size().eq(14).all()


def test_what_is_seen_hangs_on_the_moment(model: Any, world: Any) -> None:
    first = world.log[world.log["user_id"] == "u00"]["timestamp"].min()
    found = model.recommend(["u00"], history=world.log, k=14, as_of=first + 3600)
    assert set(found["item_id"]) == set(world.items["item_id"]) - {"i00"}


def test_all_candidates_seen_gives_nothing_and_says_so(model: Any, world: Any) -> None:
    with pytest.warns(
        DataWarning, match=r"1 of 2 requests have no recommendation: all their candidates are seen.*exclude_seen=False"
    ):
        found = model.recommend(["u00", "u01"], history=world.log, k=1, candidates=["i00", "i04"])
    assert found["user_id"].tolist() == ["u01"]
    with pytest.warns(DataWarning, match="1 of 1 requests have no recommendation"):
        nothing = model.recommend(["u00"], history=world.log, k=1, candidates=["i00"])
    assert len(nothing) == 0
    assert list(nothing.columns) == COLUMNS


def test_candidates_are_all_there_is_to_choose_from(model: Any, world: Any) -> None:
    found = model.recommend(history=world.log, k=2, candidates=["i13", "i02", "i02"], exclude_seen=False)
    assert found.groupby("user_id")["item_id"].agg(set).map(sorted).tolist() == [["i02", "i13"]] * 12
    whole = model.recommend(history=world.log, k=14, exclude_seen=False)
    both = found.merge(whole, on=["user_id", "item_id"])
    np.testing.assert_allclose(both["score_x"], both["score_y"], rtol=1e-5, atol=1e-6)


def test_unknown_candidates_are_left_out_with_a_word(model: Any, world: Any) -> None:
    with pytest.warns(DataWarning, match=r"candidates has 1 items that are not in the catalog, left out: 'i99'"):
        found = model.recommend(["u00"], history=world.log, k=1, candidates=["i99", "i10"])
    assert found["item_id"].tolist() == ["i10"]
    with pytest.raises(DataError, match=r"candidates has no item of the catalog: 2 ids \('i98', 'i99'\)"):
        model.recommend(["u00"], history=world.log, k=1, candidates=["i98", "i99"])


def test_one_text_is_no_list_of_candidates(model: Any, world: Any) -> None:
    with pytest.raises(DataError, match="candidates must be a list of ids, got 'i10'"):
        model.recommend(["u00"], history=world.log, k=1, candidates="i10")


def test_users_without_history_are_given_something_beside_those_with(model: Any, world: Any) -> None:
    found = model.recommend(["nobody", "u00"], history=world.log, k=3)
    assert found["user_id"].tolist() == ["nobody"] * 3 + ["u00"] * 3
    assert found["score"].notna().all()


def test_a_history_of_nobody_asked_about_is_refused(model: Any, world: Any) -> None:
    with pytest.raises(
        DataError,
        match=r"history has no interactions of the 2 users asked about \('x', 'y'\); its users are like 'u00'",
    ):
        model.recommend(["x", "y"], history=world.log)
    with pytest.raises(DataError, match=r"history has no interactions of the 1 users asked about \(3\)"):
        model.recommend([3], history=world.log)


def test_no_history_is_refused(model: Any, world: Any) -> None:
    with pytest.raises(DataError, match=r"history is missing\. A model keeps no users: pass the interactions"):
        model.recommend(["u00"], history=None)
    with pytest.raises(DataError, match="interactions is empty"):
        model.recommend(["u00"], history=world.log.head(0))
    with pytest.raises(DataError, match=r"interactions has no column 'timestamp'.*'ts'"):
        model.recommend(["u00"], history=world.log.rename(columns={"timestamp": "ts"}))


@pytest.mark.parametrize("users", [["u00", None], [["u00"]], ["u00", 3]])
def test_users_that_cannot_be_ids_are_refused(model: Any, world: Any, users: Any) -> None:
    with pytest.raises(DataError, match=r"users.*(null user_id|cannot be ids|mixes)"):
        model.recommend(users, history=world.log)


def test_the_frames_given_are_not_changed(model: Any, world: Any) -> None:
    history, requests = world.log.copy(), pd.DataFrame({"user_id": ["u01", "u00"], "device": ["desk", "phone"]})
    before = requests.copy()
    model.recommend(requests, history=history, k=3)
    pd.testing.assert_frame_equal(history, world.log)
    pd.testing.assert_frame_equal(requests, before)


def test_the_order_of_the_history_says_nothing_where_moments_do(model: Any, world: Any) -> None:
    expected = model.recommend(["u00", "u05"], history=world.log, k=4)
    shuffled = world.log.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(model.recommend(["u00", "u05"], history=shuffled, k=4), expected)


def test_a_history_may_be_a_frame_a_file_or_a_store(model: Any, world: Any, tmp_path: Path) -> None:
    from recattn.dataset import HistoryStore, Vocabulary

    expected = model.recommend(["u00", "u05"], history=world.log, k=4)
    world.log.to_parquet(tmp_path / "log.parquet")
    world.log.to_csv(tmp_path / "log.csv", index=False)
    store = HistoryStore.from_frame(world.log, Vocabulary.from_values("item_id", world.log["item_id"].iloc[::-1]))
    for history in (tmp_path / "log.parquet", str(tmp_path / "log.csv"), store, store.save(tmp_path / "store")):
        found = model.recommend(["u00", "u05"], history=history, k=4)
        pd.testing.assert_frame_equal(found, expected)


def test_users_the_model_never_met_are_served_from_their_history(model: Any, world: Any) -> None:
    stranger = world.log[world.log["user_id"] == "u04"].assign(user_id="stranger")
    known = model.recommend(["u04"], history=world.log, k=4)
    found = model.recommend(["stranger"], history=stranger, k=4)
    assert found["item_id"].tolist() == known["item_id"].tolist()
    np.testing.assert_allclose(found["score"], known["score"], rtol=1e-5)


def test_items_the_model_does_not_know_are_left_out_of_a_history(model: Any, world: Any) -> None:
    expected = model.recommend(["u04"], history=world.log, k=4)
    more = world.log[world.log["user_id"] == "u04"].head(2).assign(item_id="unheard of")
    found = model.recommend(["u04"], history=pd.concat([world.log, more], ignore_index=True), k=4)
    pd.testing.assert_frame_equal(found, expected)


def test_one_id_is_no_list_of_users(model: Any, world: Any) -> None:
    with pytest.raises(DataError, match=r"users must be a list of ids, got 'u00'\. Pass \['u00'\]"):
        model.recommend("u00", history=world.log)
    with pytest.raises(DataError, match=r"users must be a list of ids, got 3\. Pass \[3\]"):
        model.recommend(3, history=world.log)
    with pytest.raises(DataError, match=r"no file or folder 'nobody'"):
        model.recommend("nobody", history=world.log)


def test_candidates_are_a_column_not_a_frame(model: Any, world: Any) -> None:
    with pytest.raises(DataError, match="candidates must be a list of ids, got a DataFrame"):
        model.recommend(["u00"], history=world.log, candidates=world.items)


def test_a_history_may_be_the_folder_of_a_store(model: Any, world: Any, tmp_path: Path) -> None:
    HistoryStore.from_frame(world.log, model.items.vocabulary).save(tmp_path / "store")
    found = model.recommend(["u00"], history=tmp_path / "store", k=3)
    pd.testing.assert_frame_equal(found, model.recommend(["u00"], history=world.log, k=3))
