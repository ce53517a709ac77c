"""Tests of category caps and of maximal marginal relevance against plain loops."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.candidates import Cap, ItemVectors, Mmr, cap, diversity, mmr
from recattn.errors import ConfigError, DataError

ITEMS = pd.DataFrame(
    {"item_id": range(40), "kind": [["x|y", "x", "y", None, "z", "x|z", "x|x"][n % 7] for n in range(40)]}
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Lists of 0 to 30 of 45 items for 25 requests, rows in any order; five items have no row in ITEMS."""
    rng = np.random.default_rng(1)
    parts = []
    for request in range(25):
        items = rng.permutation(45)[: rng.integers(1, 31)]
        scores = np.sort(rng.normal(size=len(items)).round(1))[::-1]
        parts.append(
            pd.DataFrame({"request_id": request, "user_id": request % 7, "item_id": items, "score": scores}).assign(
                rank=np.arange(1, len(items) + 1)
            )
        )
    return pd.concat(parts).sample(frac=1, random_state=0).reset_index(drop=True)


def kinds_of(item: int) -> set[str]:
    text = dict(zip(ITEMS["item_id"], ITEMS["kind"], strict=True)).get(item)
    return set(text.split("|")) if isinstance(text, str) else set()


def lists(frame: pd.DataFrame) -> dict[int, list[int]]:
    return {name: group.sort_values("rank")["item_id"].tolist() for name, group in frame.groupby("request_id")}


def plain_cap(items: list[int], most: int, k: int) -> list[int]:
    counts: Counter[str] = Counter()
    kept = []
    for item in items:
        if len(kept) < k and all(counts[kind] < most for kind in kinds_of(item)):
            kept.append(item)
            counts.update(kinds_of(item))
    return kept


def plain_mmr(items: list[int], worth: list[float], alike: Any, trade_off: float, k: int) -> list[int]:
    low, high = min(worth), max(worth)
    unit = [(value - low) / (high - low) if high > low else 0.0 for value in worth]
    taken: list[int] = []
    while len(taken) < min(k, len(items)):
        best, best_value = -1, -np.inf
        for place in range(len(items)):
            if place in taken:
                continue
            nearest = max((alike(items[place], items[other]) for other in taken), default=0.0)
            value = round(trade_off * unit[place] - (1 - trade_off) * nearest, 6)
            if value > best_value:
                best, best_value = place, value
        taken.append(best)
    return [items[place] for place in taken]


@pytest.mark.parametrize(("most", "k"), [(1, None), (2, None), (2, 3), (9, 4)])
def test_a_cap_keeps_what_a_loop_keeps(frame: pd.DataFrame, most: int, k: int | None) -> None:
    found = cap(frame, ITEMS, by="kind", most=most, k=k)
    expected = {name: plain_cap(items, most, k or 99) for name, items in lists(frame).items()}
    assert lists(found) == expected
    assert found.groupby("request_id")["rank"].agg(list).map(lambda r: r == list(range(1, len(r) + 1))).all()


@pytest.mark.parametrize("k", [None, 5])
def test_a_cap_on_single_values_keeps_what_a_loop_keeps(frame: pd.DataFrame, k: int | None) -> None:
    single = ITEMS.assign(kind=ITEMS["kind"].str.split("|").str[0])
    found = cap(frame, single, by="kind", most=2, k=k)
    names = single.set_index("item_id")["kind"].to_dict()
    expected = {}
    for request, items in lists(frame).items():
        counts: Counter[str] = Counter()
        kept = expected.setdefault(request, [])
        for item in items:
            kind = names.get(item)
            if not isinstance(kind, str) or counts[kind] < 2:
                kept.append(item)
                counts.update([kind] if isinstance(kind, str) else [])
    assert lists(found) == {request: items[:k] for request, items in expected.items()}


def test_rows_keep_their_columns_through_a_cap(frame: pd.DataFrame) -> None:
    found = cap(frame.assign(source="s"), ITEMS, by="kind", most=1)
    merged = found.merge(frame, on=["request_id", "item_id"], suffixes=("", "_before"))
    assert len(merged) == len(found) < len(frame)
    assert (merged["score"] == merged["score_before"]).all()
    assert (merged["rank"] <= merged["rank_before"]).all()
    assert set(found["source"]) == {"s"}


def test_a_cap_on_lists_and_on_single_values() -> None:
    frame = pd.DataFrame({"user_id": 1, "item_id": [1, 2, 3], "score": [3.0, 2, 1]})
    items = pd.DataFrame({"item_id": [1, 2, 3], "tags": [["a", "b"], ["b"], []], "shelf": [7, 7, 7]})
    assert cap(frame, items, by="tags", most=1)["item_id"].tolist() == [1, 3]
    assert cap(frame, items, by="shelf", most=2)["item_id"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"by": "kinds"}, DataError, "items has no column 'kinds' of categories; it has 'kind'. Did you mean 'kind'"),
        ({"by": "kind", "most": 0}, ConfigError, "most must be a whole number of at least 1, got 0"),
        ({"by": "kind", "k": 0}, ConfigError, "k must be a whole number of at least 1, got 0"),
    ],
)
def test_a_cap_that_cannot_be_says_why(frame: pd.DataFrame, options: Any, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        cap(frame, ITEMS, **options)


def vectors() -> tuple[ItemVectors, Any]:
    drawn = np.random.default_rng(2).normal(size=(45, 5)).astype(np.float32)
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return ItemVectors.of_arrays(range(45), drawn), lambda one, other: float(unit[one] @ unit[other])


@pytest.mark.parametrize("trade_off", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("k", [None, 6])
def test_mmr_takes_what_a_loop_takes(frame: pd.DataFrame, trade_off: float, k: int | None) -> None:
    similarity, alike = vectors()
    found = lists(mmr(frame, similarity, k, trade_off))
    for name, group in frame.sort_values("rank").groupby("request_id"):
        expected = plain_mmr(group["item_id"].tolist(), group["score"].tolist(), alike, trade_off, k or 99)
        assert found[name] == expected


def test_mmr_by_categories_takes_what_a_loop_takes(frame: pd.DataFrame) -> None:
    def alike(one: int, other: int) -> float:
        a, b = kinds_of(one), kinds_of(other)
        return len(a & b) / np.sqrt(len(a) * len(b)) if a and b else 0.0

    with pytest.warns(UserWarning, match=r"are of items the similarity does not know"):
        found = lists(mmr(frame, ItemVectors.of_categories(ITEMS, "kind"), 8, 0.5))
    for name, group in frame.sort_values("rank").groupby("request_id"):
        assert found[name] == plain_mmr(group["item_id"].tolist(), group["score"].tolist(), alike, 0.5, 8)


def test_mmr_in_small_pieces_is_the_same(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    similarity, _ = vectors()
    whole = mmr(frame, similarity)
    monkeypatch.setattr(diversity, "_FLOATS", 50)
    pd.testing.assert_frame_equal(mmr(frame, similarity), whole)
    alone = frame[frame["request_id"] == 3]
    pd.testing.assert_frame_equal(
        mmr(alone, similarity), whole[whole["request_id"] == 3].reset_index(drop=True), check_dtype=False
    )


def test_mmr_of_relevance_alone_changes_nothing(frame: pd.DataFrame) -> None:
    similarity, _ = vectors()
    assert lists(mmr(frame, similarity, trade_off=1.0)) == lists(frame)


def test_equal_values_go_by_rank() -> None:
    frame = pd.DataFrame({"user_id": 1, "item_id": list("dcba"), "rank": [1, 2, 3, 4], "score": 1.0})
    same = ItemVectors.of_arrays(list("abcd"), np.ones((4, 3)))
    assert mmr(frame, same, trade_off=0.0)["item_id"].tolist() == list("dcba")


def test_mmr_weighs_ranks_where_there_are_no_scores(frame: pd.DataFrame) -> None:
    similarity, _ = vectors()
    by_rank = mmr(frame.drop(columns="score"), similarity)
    assert lists(by_rank) == lists(mmr(frame.assign(score=-frame["rank"]), similarity))


def test_a_pool_keeps_what_lies_below_it_out(frame: pd.DataFrame) -> None:
    similarity, _ = vectors()
    found = Mmr(similarity, 0.2, pool=4).apply(frame, 3)
    best = frame[frame["rank"] <= 4]
    assert lists(found) == lists(mmr(best, similarity, 3, 0.2))


def test_the_model_lends_its_embeddings(rich: Any, world: Any) -> None:
    from_model = ItemVectors.of_model(rich)
    one, other = from_model.take(from_model.codes(pd.Series(["i03", "i07"])))
    similar = rich.similar_items(["i03"], 13).set_index("similar_item_id")["score"]
    assert float(one @ other) == pytest.approx(similar["i07"], abs=1e-5)
    assert float(one @ one) == pytest.approx(1, abs=1e-5)
    frame = rich.recommend(["u01"], history=world.log, k=6, user_features=world.users, exclude_seen=False)
    pd.testing.assert_frame_equal(mmr(frame, rich, 3), mmr(frame, from_model, 3))


def test_settings_of_mmr_that_cannot_be_are_refused(frame: pd.DataFrame) -> None:
    for wrong in (-0.1, 1.5, float("nan"), "half", True):
        with pytest.raises(ConfigError, match=r"trade_off must lie in \[0, 1\]"):
            Mmr(None, wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="Mmr has no similarity"):
        Mmr().apply(frame)
    with pytest.raises(ConfigError, match="similarity must be ItemVectors or a Recommender, got 'model'"):
        mmr(frame, "model")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"vectors must be \[2, D\], a row an item, got \[3, 4\]"):
        ItemVectors.of_arrays([1, 2], np.ones((3, 4)))
    with pytest.raises(DataError, match=r"item_id is str in similarity .* but int in recommendations"):
        mmr(frame, ItemVectors.of_arrays(["a"], np.ones((1, 2))))


def test_an_empty_frame_stays_empty(frame: pd.DataFrame) -> None:
    similarity, _ = vectors()
    assert mmr(frame.head(0), similarity).empty
    assert Cap(ITEMS, "kind").apply(frame.head(0)).empty
