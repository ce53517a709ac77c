"""The face every baseline has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recattn.baselines import Baseline, ItemKNN, Popularity, Recency, base
from recattn.dataset import HistoryStore
from recattn.errors import ConfigError, DataError, NotFittedError
from recattn.schema import DataWarning, read_interactions

KINDS: list[Callable[[], Baseline]] = [Popularity, ItemKNN, Recency]
each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def log() -> pd.DataFrame:
    """20 users, items a..j, ten interactions each with repeats, all times different."""
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "user_id": np.tile([f"u{n}" for n in range(20)], 10),
            "item_id": [str(item) for item in rng.choice(list("abcdefghij"), size=200)],
            "timestamp": 1_000_000 + np.arange(200) * 60,
        }
    )


@each
def test_recommendations_have_the_common_form(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    found = kind().fit(log).recommend(["u3", "u1"], history=log, k=2, exclude_seen=False)
    assert found.columns.tolist() == ["user_id", "item_id", "score", "rank"]
    assert found["user_id"].tolist() == ["u3", "u3", "u1", "u1"]
    assert found["rank"].tolist() == [1, 2, 1, 2]
    assert found["score"].dtype == np.float32
    assert (found.groupby("user_id")["score"].diff().dropna() <= 0).all()


@each
def test_everybody_in_the_history_is_served_when_nobody_is_named(
    kind: Callable[[], Baseline], log: pd.DataFrame
) -> None:
    found = kind().fit(log).recommend(history=log, k=1, exclude_seen=False)
    assert found["user_id"].tolist() == [f"u{n}" for n in range(20)]


@each
def test_seen_items_are_left_out_unless_asked_for(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    seen = set(zip(log["user_id"], log["item_id"], strict=True))
    fresh = model.recommend(history=log, k=8)
    assert not seen & set(zip(fresh["user_id"], fresh["item_id"], strict=True))
    catalog = model.recommend(history=log, k=10, exclude_seen=False)
    assert len(catalog) == 200
    kept = catalog[[pair not in seen for pair in zip(catalog["user_id"], catalog["item_id"], strict=True)]]
    unseen = model.recommend(history=log, k=10)
    assert unseen["item_id"].tolist() == kept["item_id"].tolist()
    np.testing.assert_array_equal(unseen["score"], kept["score"])


@each
def test_a_seen_item_that_is_no_candidate_takes_none_away(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model, user = kind().fit(log), log[log["user_id"] == "u0"]
    fresh = sorted(set("abcdefghij") - set(user["item_id"]))
    assert len(fresh) >= 2
    found = model.recommend(["u0"], history=log, k=len(fresh), candidates=fresh)
    assert sorted(found["item_id"]) == fresh


@each
def test_only_what_came_before_the_request_is_seen(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    requests = pd.DataFrame({"user_id": ["u0"], "timestamp": [log["timestamp"].iloc[100]]})
    later = log["timestamp"] >= requests["timestamp"].iloc[0]
    changed = log.assign(item_id=log["item_id"].where(~later, "a"))
    before = model.recommend(requests, history=log, k=10)
    pd.testing.assert_frame_equal(before, model.recommend(requests, history=changed, k=10))
    past = set(log.loc[~later & (log["user_id"] == "u0"), "item_id"])
    assert set(before["item_id"]) == set("abcdefghij") - past


@each
def test_default_moment_is_just_after_the_history(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    end = int(log["timestamp"].max())
    default = model.recommend(history=log, k=10)
    pd.testing.assert_frame_equal(default, model.recommend(history=log, k=10, as_of=end + 1))
    assert len(model.recommend(["u19"], history=log, k=10, as_of=end)) >= len(default[default["user_id"] == "u19"])
    pd.testing.assert_frame_equal(default, model.recommend(history=log, k=10, as_of=pd.Timestamp(end + 1, unit="s")))


@each
def test_requests_name_themselves_when_the_frame_does(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    requests = pd.DataFrame({"request_id": ["second", "first"], "user_id": "u1", "timestamp": [1_000_000, 1_009_000]})
    found = kind().fit(log).recommend(requests, history=log, k=1)
    assert found.columns.tolist() == ["request_id", "user_id", "item_id", "score", "rank"]
    assert found["request_id"].tolist() == ["second", "first"]


@pytest.mark.parametrize("kind", [Popularity, ItemKNN])
def test_positions_decide_where_only_the_order_is_known(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    ordered = log.drop(columns="timestamp")
    requests = pd.DataFrame({"user_id": ["u0", "u0"], "request_id": [0, 1], "position": [0, 10]})
    found = kind().fit(ordered, time="order").recommend(requests, history=ordered, k=10)
    mine = set(log.loc[log["user_id"] == "u0", "item_id"])
    assert set(found.loc[found["request_id"] == 0, "item_id"]) == set("abcdefghij")
    assert set(found.loc[found["request_id"] == 1, "item_id"]) == set("abcdefghij") - mine


@each
def test_ties_decide_whether_the_same_second_is_history(kind: Callable[[], Baseline]) -> None:
    log = pd.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["a", "b", "c"], "timestamp": 7})
    requests = pd.DataFrame({"user_id": ["u"], "timestamp": [7], "position": [1]})
    assert set(kind().fit(log).recommend(requests, history=log, k=3)["item_id"]) == {"a", "b", "c"}
    ordered = kind().fit(log, ties="order").recommend(requests, history=log, k=3)
    assert set(ordered["item_id"]) == {"b", "c"}
    with pytest.raises(ConfigError, match="ties must be 'exclude' or 'order', got 'include'"):
        kind().fit(log, ties="include")  # type: ignore[call-arg]


@each
def test_items_wait_until_they_are_available(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    items = pd.DataFrame({"item_id": list("abc"), "available_from": [0, 1_005_000, 1_009_000]})
    model = kind().fit(log, items=items)
    requests = pd.DataFrame({"request_id": [0, 1, 2], "user_id": "u9", "timestamp": [1_004_999, 1_005_000, 1_009_001]})
    found = model.recommend(requests, history=log, k=2, exclude_seen=False, candidates=list("abc"))
    lists = [set(found.loc[found["request_id"] == request, "item_id"]) for request in range(3)]
    assert lists[:2] == [{"a"}, {"a", "b"}]
    assert len(lists[2]) == 2


@each
def test_candidates_restrict_the_catalog(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    everything = model.recommend(["u4"], history=log, k=10, exclude_seen=False)
    some = model.recommend(["u4"], history=log, k=3, exclude_seen=False, candidates=["j", "b", "e"])
    expected = everything[everything["item_id"].isin(["j", "b", "e"])]
    assert some["item_id"].tolist() == expected["item_id"].tolist()
    np.testing.assert_array_equal(some["score"], expected["score"])


@each
def test_slate_keeps_its_rows_and_gains_score_and_reason(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    slate = pd.DataFrame(
        {
            "shelf": [1, 2, 3, 4],
            "item_id": ["b", "never heard of", "a", "b"],
            "user_id": ["u2", "u2", "stranger", "u7"],
        },
        index=[9, 9, 4, 0],
    )
    scored = model.score(slate, history=log)
    pd.testing.assert_frame_equal(scored[slate.columns], slate)
    assert scored["score"].isna().tolist() == [False, True, False, False]
    assert scored["reason"].fillna("").tolist() == ["", "unknown_item", "no_history", ""]


@each
def test_score_and_recommend_agree(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    found = model.recommend(history=log, k=10, exclude_seen=False)
    shuffled = found.sample(frac=1, random_state=0)
    scored = model.score(shuffled[["user_id", "item_id"]], history=log)
    np.testing.assert_array_equal(scored["score"], shuffled["score"])


@each
def test_chunks_of_requests_change_nothing(
    kind: Callable[[], Baseline], log: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kind().fit(log)
    slate = log[["user_id", "item_id"]].drop_duplicates()
    whole = model.recommend(history=log, k=4), model.score(slate, history=log)
    monkeypatch.setattr(base, "_SCORES_AT_ONCE", 25)
    pd.testing.assert_frame_equal(model.recommend(history=log, k=4), whole[0])
    pd.testing.assert_frame_equal(model.score(slate, history=log), whole[1])


@each
def test_frames_files_and_stores_are_the_same_history(
    kind: Callable[[], Baseline], log: pd.DataFrame, tmp_path: Path
) -> None:
    model = kind().fit(log)
    expected = model.recommend(history=log, k=3)
    log.to_parquet(tmp_path / "log.parquet")
    store = HistoryStore.from_frame(read_interactions(log), model.items.vocabulary)
    asked = tmp_path / "requests.csv"
    pd.DataFrame({"request_id": [5], "user_id": ["u0"]}).to_csv(asked, index=False)
    assert set(model.recommend(asked, history=log, k=3)["request_id"]) == {5}
    for history in (tmp_path / "log.parquet", store):
        pd.testing.assert_frame_equal(model.recommend(history=history, k=3), expected)
        pd.testing.assert_frame_equal(kind().fit(history).recommend(history=log, k=3), expected)


@each
def test_frames_given_are_not_changed(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    slate, requests = log[["user_id", "item_id"]].copy(), log[["user_id"]].drop_duplicates()
    before = log.copy(deep=True), slate.copy(deep=True), requests.copy(deep=True)
    model = kind().fit(log)
    model.recommend(requests, history=log, k=2)
    model.score(slate, history=log)
    for now, then in zip((log, slate, requests), before, strict=True):
        pd.testing.assert_frame_equal(now, then)


@each
def test_items_frame_joins_the_catalog(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    items = pd.DataFrame({"item_id": ["new", "a"], "colour": ["red", "blue"]})
    model = kind().fit(log, items=items)
    assert set(model.items.vocabulary.ids) == set("abcdefghij") | {"new"}
    found = model.recommend(["u0"], history=log, k=11, exclude_seen=False)
    assert "new" in set(found["item_id"])


@each
def test_interactions_with_items_outside_the_catalog_are_left_out(
    kind: Callable[[], Baseline], log: pd.DataFrame
) -> None:
    model = kind().fit(log)
    strange = pd.DataFrame({"user_id": ["u0"], "item_id": ["unheard"], "timestamp": [1_000_000]})
    with_it = pd.concat([log, strange], ignore_index=True)
    pd.testing.assert_frame_equal(model.recommend(history=log, k=4), model.recommend(history=with_it, k=4))


@each
def test_k_beyond_the_catalog_gives_shorter_lists_with_a_warning(
    kind: Callable[[], Baseline], log: pd.DataFrame
) -> None:
    with pytest.warns(DataWarning, match="k = 50 is more than the 10 items to choose from: lists end there"):
        found = kind().fit(log).recommend(["u0"], history=log, k=50, exclude_seen=False)
    assert found["rank"].tolist() == list(range(1, 11))


@each
def test_requests_that_have_seen_everything_are_told_of(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log)
    mine = log.loc[log["user_id"] == "u0", "item_id"].unique()
    with pytest.warns(
        DataWarning, match="1 of 1 requests have no recommendation: all their candidates are seen or not yet"
    ):
        found = model.recommend(["u0"], history=log, k=1, candidates=mine)
    assert len(found) == 0
    assert found.columns.tolist() == ["user_id", "item_id", "score", "rank"]


@each
def test_strangers_beside_known_users_are_served(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    found = kind().fit(log).recommend(["stranger", "u0"], history=log, k=2, exclude_seen=False)
    assert found["user_id"].tolist() == ["stranger", "stranger", "u0", "u0"]


@each
def test_slate_of_strangers_only_is_refused(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    slate = pd.DataFrame({"user_id": ["x", "y"], "item_id": ["a", "b"]})
    with pytest.raises(DataError, match=r"no interactions of the 2 users asked about \('x', 'y'\)"):
        kind().fit(log).score(slate, history=log)


@each
def test_nobody_asked_gives_an_empty_frame(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    found = kind().fit(log).recommend([], history=log)
    assert found.columns.tolist() == ["user_id", "item_id", "score", "rank"]
    assert len(found) == 0


@each
def test_empty_slate_gives_an_empty_frame(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    scored = kind().fit(log).score(log[["user_id", "item_id"]].iloc[:0], history=log)
    assert scored.columns.tolist() == ["user_id", "item_id", "score", "reason"]
    assert len(scored) == 0


@each
def test_fitting_again_starts_anew(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    model = kind().fit(log.assign(item_id=log["item_id"] + "!"))
    pd.testing.assert_frame_equal(
        model.fit(log).recommend(history=log, k=5), kind().fit(log).recommend(history=log, k=5)
    )


@each
def test_unfitted_baseline_says_so(kind: Callable[[], Baseline], log: pd.DataFrame) -> None:
    with pytest.raises(NotFittedError, match=r"is not fitted. Call fit\(train\) first"):
        kind().recommend(history=log)
    with pytest.raises(NotFittedError, match="is not fitted"):
        kind().score(log, history=log)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"history": None}, DataError, "history is missing. A model keeps no users"),
        ({"k": 0}, ConfigError, "k must be a whole number of at least 1, got 0"),
        ({"users": ["x", "y"]}, DataError, r"no interactions of the 2 users asked about \('x', 'y'\)"),
        ({"users": [1]}, DataError, r"users asked about \(1\); its users are like 'u0'"),
        ({"users": "u0"}, DataError, "u0"),
        ({"users": ["u0", None]}, DataError, "users has 1 of 2 rows that cannot be used: 1 with a null user_id"),
        ({"candidates": ["?", "!"]}, DataError, "candidates has no item of the catalog: 2 ids"),
        ({"candidates": []}, DataError, "candidates has no item of the catalog: 0 ids"),
        ({"candidates": "abc"}, DataError, "candidates must be a list of ids, got 'abc'"),
        ({"as_of": "someday"}, DataError, "as_of must be a date"),
    ],
)
def test_bad_questions_are_refused(
    asked: dict[str, object], error: type[Exception], message: str, log: pd.DataFrame
) -> None:
    with pytest.raises(error, match=message):
        Popularity().fit(log).recommend(**{"history": log, **asked})  # type: ignore[arg-type]


def test_unknown_candidates_are_left_out_with_a_warning(log: pd.DataFrame) -> None:
    with pytest.warns(DataWarning, match="candidates has 1 items that are not in the catalog, left out: 'zzz'"):
        found = Popularity().fit(log).recommend(history=log, k=1, candidates=["a", "zzz"], exclude_seen=False)
    assert set(found["item_id"]) == {"a"}


def test_times_and_orders_do_not_mix(log: pd.DataFrame) -> None:
    model = Popularity().fit(log, time="order")
    store = HistoryStore.from_frame(read_interactions(log), model.items.vocabulary)
    with pytest.raises(DataError, match="history is a store with time='timestamp', but time='order' is asked for"):
        model.recommend(history=store)
    with pytest.raises(ConfigError, match="as_of='2020-01-01' needs times, but the model was fitted with time='order'"):
        model.recommend(history=log, as_of="2020-01-01")
    with pytest.raises(DataError, match="train is a store with time='timestamp', but time='order' is asked for"):
        model.fit(store, time="order")


def test_one_user_with_one_item_is_enough() -> None:
    log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": [5]})
    for kind in KINDS:
        assert kind().fit(log).recommend(history=log, k=1, exclude_seen=False)["item_id"].tolist() == ["a"]
