"""Generated worlds: their frames, their law, their oracle."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pandas.testing as pdt
import pytest

from recattn.dataset.synthetic import Strengths, World, make_world
from recattn.dataset.synthetic.__main__ import main
from recattn.dataset.synthetic.population import make_visits
from recattn.dataset.synthetic.process import Past
from recattn.errors import ConfigError, DataError

SAMPLE = Path(__file__).parents[3] / "data" / "sample"


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(seed=3)


@pytest.fixture(scope="module")
def plain() -> World:
    return make_world(seed=3, order_matters=False)


@pytest.fixture(scope="module")
def small() -> World:
    return make_world(40, 60, mean_interactions=8, days=30, seed=1)


def split(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Interactions before the last tenth, requests for the last one of each user in it."""
    log = world.interactions
    late = log["timestamp"] >= log["timestamp"].quantile(0.9)
    targets = log[late].groupby("user_id").tail(1).reset_index(drop=True)
    return log[~late], targets.assign(request_id=range(len(targets)))


def ndcg(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean NDCG@10 with one target a row."""
    own = scores[np.arange(len(targets)), targets][:, None]
    rank = 1 + (scores > own).sum(axis=1)
    return float(np.where(rank <= 10, 1 / np.log2(rank + 1), 0).mean())


def compared(world: World) -> dict[str, float]:
    """NDCG@10 of popularity, item-kNN by cosine, oracle; all leave out what was seen."""
    train, targets = split(world)
    items = pd.Index(world.items["item_id"])
    target = items.get_indexer(pd.Index(targets["item_id"]))
    count = np.bincount(items.get_indexer(pd.Index(train["item_id"])), minlength=len(items)).astype(float)

    users = pd.Index(targets["user_id"])
    joined = world.interactions.merge(targets[["user_id", "timestamp"]], on="user_id", suffixes=("", "_of"))
    past = joined[joined["timestamp"] < joined["timestamp_of"]]
    seen = np.zeros((len(targets), len(items)))
    seen[users.get_indexer(pd.Index(past["user_id"])), items.get_indexer(pd.Index(past["item_id"]))] = 1

    train_users = pd.Index(train["user_id"].unique())
    taken = np.zeros((len(train_users), len(items)))
    taken[train_users.get_indexer(pd.Index(train["user_id"])), items.get_indexer(pd.Index(train["item_id"]))] = 1
    likeness = taken.T @ taken / np.sqrt(np.outer(count + 1, count + 1))
    np.fill_diagonal(likeness, 0)

    ranked = world.oracle(targets[["request_id", "user_id", "timestamp"]])
    chance = np.zeros_like(seen)
    chance[ranked["request_id"], items.get_indexer(pd.Index(ranked["item_id"]))] = ranked["score"]
    hide = np.where(seen > 0, -1.0, 0.0)
    return {
        "popularity": ndcg(np.where(seen > 0, -1, count), target),
        "knn": ndcg(np.where(seen > 0, -1, seen @ likeness), target),
        "oracle": ndcg(chance + hide, target),
    }


def test_same_seed_gives_the_same_world_and_another_seed_another(small: World) -> None:
    again = make_world(40, 60, mean_interactions=8, days=30, seed=1)
    pdt.assert_frame_equal(small.interactions, again.interactions)
    pdt.assert_frame_equal(small.items, again.items)
    pdt.assert_frame_equal(small.users, again.users)
    other = make_world(40, 60, mean_interactions=8, days=30, seed=2)
    assert not other.interactions.equals(small.interactions)


def test_frames_have_unique_ids_of_one_type_and_real_seconds(world: World) -> None:
    log, items, users = world.interactions, world.items, world.users
    assert list(log) == ["user_id", "item_id", "timestamp", "event_type"]
    assert log.index.equals(pd.RangeIndex(len(log)))
    assert items["item_id"].is_unique
    assert users["user_id"].is_unique
    assert log["user_id"].isin(users["user_id"]).all()
    assert log["item_id"].isin(items["item_id"]).all()
    assert not log.isna().any().any()
    assert set(log["event_type"]) == {"view", "like", "purchase"}
    assert log["timestamp"].dtype == np.int64
    assert log["timestamp"].is_monotonic_increasing
    assert log["timestamp"].between(1_704_067_200, 1_704_067_200 + 181 * 86_400).all()
    assert {len(items), len(users)} == {500, 1200}
    assert 30_000 < len(log) < 60_000
    assert items["genres"].str.split("|").map(len).between(1, 3).all()


def test_a_user_takes_an_item_once_and_two_things_never_in_one_second(world: World) -> None:
    log = world.interactions
    assert not log.duplicated(["user_id", "item_id"]).any()
    assert not log.duplicated(["user_id", "timestamp"]).any()


def test_no_item_is_taken_before_it_is_available(world: World) -> None:
    log = world.interactions.merge(world.items, on="item_id")
    assert (log["timestamp"] >= log["available_from"]).all()
    assert (world.items["available_from"] > world.interactions["timestamp"].min()).any()


def test_some_test_users_and_test_items_are_cold_but_few(world: World) -> None:
    log = world.interactions
    late = log["timestamp"] >= log["timestamp"].quantile(0.9)
    for column in ("user_id", "item_id"):
        strangers = ~log.loc[late, column].isin(log.loc[~late, column])
        assert 0 < strangers.mean() < 0.1


def test_popularity_is_skewed_and_visits_come_in_sessions(world: World) -> None:
    log = world.interactions
    counts = log["item_id"].value_counts()
    assert counts.head(50).sum() > 0.25 * len(log)
    gaps = log.sort_values(["user_id", "timestamp"]).groupby("user_id")["timestamp"].diff()
    assert 0.5 < (gaps < 1800).mean() < 0.9
    assert gaps.median() < 600


def test_oracle_stands_far_above_popularity_and_neighbours(world: World) -> None:
    found = compared(world)
    assert found["oracle"] > 3 * found["popularity"]
    assert found["oracle"] > 2 * found["knn"]
    assert found["oracle"] > found["knn"] + 0.15


def test_in_a_plain_world_nothing_beats_popularity(plain: World) -> None:
    found = compared(plain)
    assert found["oracle"] == pytest.approx(found["popularity"], abs=0.01)
    assert found["knn"] < found["popularity"] + 0.01


def test_plain_oracle_ranks_all_users_alike_apart_from_what_they_saw(plain: World) -> None:
    ranked = plain.oracle(plain.users[["user_id"]].head(5))
    orders = [group["item_id"].tolist() for _, group in ranked.groupby("user_id")]
    whole = plain.oracle(plain.users[["user_id"]].head(1), history=plain.interactions.head(0))
    for order in orders:
        assert order == [item for item in whole["item_id"] if item in set(order)]


def test_oracle_probabilities_are_those_the_log_was_drawn_from(world: World) -> None:
    log = world.interactions.assign(request_id=range(len(world.interactions))).sample(4000, random_state=0)
    ranked = world.oracle(log[["request_id", "user_id", "timestamp"]], k=1)
    hit = (ranked["item_id"].to_numpy() == log["item_id"].to_numpy()).astype(float)
    chance = ranked["score"].to_numpy()
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.0)):
        here = (chance >= low) & (chance < high)
        error = 4 * np.sqrt((chance[here] * (1 - chance[here])).sum()) / here.sum()
        assert hit[here].mean() == pytest.approx(chance[here].mean(), abs=error)


def test_oracle_gives_whole_probabilities_in_rank_order_without_seen_items(small: World) -> None:
    requests = small.interactions[["user_id", "timestamp"]].tail(30).assign(request_id=list(range(30))[::-1])
    ranked = small.oracle(requests)
    assert list(ranked) == ["request_id", "user_id", "item_id", "score", "rank"]
    assert ranked["request_id"].drop_duplicates().tolist() == requests["request_id"].tolist()
    by_request = ranked.groupby("request_id", sort=False)
    np.testing.assert_allclose(by_request["score"].sum(), 1.0)
    assert by_request["score"].is_monotonic_decreasing.all()
    assert (ranked["rank"] == by_request.cumcount() + 1).all()
    moments = ranked.merge(requests[["request_id", "timestamp"]], on="request_id")
    log = small.interactions.merge(moments, on=["user_id", "item_id"], suffixes=("", "_of"))
    assert (log["timestamp"] >= log["timestamp_of"]).all()
    assert (moments.merge(small.items, on="item_id").eval("timestamp >= available_from")).all()


def test_oracle_lists_seen_items_last_with_probability_zero_when_asked(small: World) -> None:
    requests = small.interactions[["user_id"]].tail(1)
    user = requests["user_id"].iloc[0]
    with_seen = small.oracle(requests, exclude_seen=False)
    without = small.oracle(requests)
    extra = with_seen.iloc[len(without) :]
    pdt.assert_frame_equal(with_seen.iloc[: len(without)], without)
    seen = small.interactions.loc[small.interactions["user_id"] == user, "item_id"]
    assert set(extra["item_id"]) == set(seen)
    assert (extra["score"] == 0).all()


def test_oracle_does_not_look_at_or_after_the_moment(small: World) -> None:
    requests = small.interactions[["user_id", "timestamp"]].iloc[[100, 150]].reset_index(drop=True)
    moment = requests["timestamp"].min()
    changed = small.interactions.copy()
    late = changed["timestamp"] >= moment
    changed.loc[late, "item_id"] = "i0001"
    changed.loc[late, "event_type"] = "purchase"
    first = requests.head(1)
    pdt.assert_frame_equal(small.oracle(first), small.oracle(first, history=changed))


def test_oracle_answers_empty_histories_and_no_requests(small: World) -> None:
    users = small.users[["user_id"]].head(2)
    ranked = small.oracle(users.assign(timestamp=2_000_000_000), history=small.interactions.head(0), k=3)
    assert ranked["rank"].tolist() == [1, 2, 3, 1, 2, 3]
    assert len(small.oracle(users.head(0))) == 0


def test_oracle_answers_the_same_in_chunks_as_one_by_one(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = small.interactions[["user_id", "timestamp"]].iloc[:: len(small.interactions) // 10]
    whole = small.oracle(requests)
    monkeypatch.setattr("recattn.dataset.synthetic.world.CHUNK", 3)
    pdt.assert_frame_equal(whole, small.oracle(requests))


def test_oracle_names_a_user_of_another_world(small: World) -> None:
    with pytest.raises(DataError, match=r"requests has 1 values of 'user_id'.*'nobody'.*'u0001'"):
        small.oracle(pd.DataFrame({"user_id": ["u0001", "nobody"]}))


def test_a_liked_volume_calls_for_its_sequel_however_far_back_it_lies_in_the_history(world: World) -> None:
    process = world.process
    volume = int(np.nonzero(process.sequel >= 0)[0][0])
    sequel = process.sequel[volume]
    others = [item for item in range(20) if item not in (volume, sequel)]
    moment = 1_720_000_000
    items = np.array([[volume, *others], [*others, -1], [volume, *others], [volume, *others]])
    times = np.tile(moment - 86_400 + np.arange(items.shape[1]), (4, 1))
    times[3] -= 60 * 86_400
    liked = np.zeros(items.shape, dtype=bool)
    liked[[0, 3], 0] = True
    chance = process.probabilities(np.zeros(4, dtype=np.int64), np.full(4, moment), Past(items, times, liked))
    liked_before, never, viewed, long_ago = chance[:, sequel]
    assert liked_before > 50 * never
    assert liked_before > 5 * viewed
    assert liked_before > 5 * long_ago
    assert (chance[items[:, 0] == volume, volume] == 0).all()


def test_without_any_cause_all_items_are_alike() -> None:
    nothing = Strengths(popularity=0, taste=0, session=0, sequel=0)
    world = make_world(20, 30, mean_interactions=5, strengths=nothing)
    ranked = world.oracle(world.interactions[["user_id", "timestamp"]].head(40).assign(request_id=range(40)))
    scores = ranked.groupby("request_id")["score"]
    assert (scores.max() == scores.min()).all()


def test_visits_of_one_user_grow_even_where_sessions_overlap() -> None:
    joined = np.full(50, 1_704_067_200)
    users, times = make_visits(np.random.default_rng(0), joined, days=1, mean=400, longest=1000)
    same = users[1:] == users[:-1]
    assert (np.diff(times)[same] > 0).all()
    assert (np.diff(users) >= 0).all()


@pytest.mark.parametrize("size", [{"n_users": 1, "n_items": 2}, {"n_users": 3, "n_items": 4, "days": 1}])
def test_the_smallest_worlds_can_be_made(size: dict[str, int]) -> None:
    world = make_world(**size)
    assert len(world.interactions) >= size["n_users"]
    assert world.oracle(world.users[["user_id"]])["score"].between(0, 1).all()


def test_an_impossible_size_is_named() -> None:
    with pytest.raises(ConfigError, match="n_items must be at least 2, got 1"):
        make_world(n_items=1)


def test_slate_holds_unseen_candidates_with_the_best_among_them(small: World) -> None:
    slate = small.slate(n_users=5, n_candidates=10)
    assert list(slate) == ["user_id", "item_id"]
    assert slate.groupby("user_id").size().tolist() == [10] * 5
    assert not slate.duplicated().any()
    assert len(slate.merge(small.interactions, on=["user_id", "item_id"])) == 0
    best = small.oracle(slate[["user_id"]].drop_duplicates(), k=2)
    assert len(best.merge(slate, on=["user_id", "item_id"])) == 10


def test_the_command_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    size = ["--users", "30", "--items", "40", "--interactions", "6"]
    assert main(["--out", str(tmp_path / "a"), *size]) == 0
    assert main(["--out", str(tmp_path / "b"), *size]) == 0
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / side).iterdir()}
        for side in "ab"
    ]
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"interactions.parquet", "items.parquet", "users.parquet", "candidates.csv"}


def test_the_command_reports_an_impossible_size_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path), "--items", "0"]) == 1
    assert "n_items must be at least 2, got 0" in capsys.readouterr().err


def test_the_sample_in_data_is_the_default_world_and_small() -> None:
    world = make_world()
    for name, frame in (("interactions", world.interactions), ("items", world.items), ("users", world.users)):
        pdt.assert_frame_equal(pd.read_parquet(SAMPLE / f"{name}.parquet"), frame)
    pdt.assert_frame_equal(pd.read_csv(SAMPLE / "candidates.csv"), world.slate())
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 1_000_000
