"""What every recommender promises of fitting: a planted answer is found, ids are taken as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.baselines import ItemKNN, Popularity, Recency
from recattn.errors import DataError, NotFittedError
from recattn.recommender import Recommender

KINDS = ("Recommender", "Popularity", "ItemKNN", "Recency")


@pytest.mark.parametrize("made", [Recommender(), Popularity(), ItemKNN(), Recency()], ids=KINDS)
def test_nothing_is_answered_before_a_fit(made: Any, world: Any) -> None:
    slate = pd.DataFrame({"user_id": ["u00"], "item_id": ["i00"]})
    for ask in (
        lambda: made.recommend(["u00"], history=world.log),
        lambda: made.score(slate, history=world.log),
        lambda: made.items,
    ):
        with pytest.raises(NotFittedError, match=r"is not fitted.*Call fit\(train\)"):
            ask()


@pytest.mark.parametrize("kind", KINDS)
def test_the_item_everybody_ends_with_is_found(fit: Callable[..., Any], kind: str) -> None:
    """It is the most popular, the most recent, goes with everything, and follows everything."""
    rng = np.random.default_rng(0)
    rows = [
        (user, item, 1_000_000 * step + user)
        for user in range(24)
        for step, item in enumerate([*rng.choice(10, 3, replace=False), 77, *rng.choice(10, 1), 77])
    ]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    model = fit(kind, log, max_epochs=40, batch_size=24, learning_rate=0.02, num_negatives=32, head_positions=8)
    stranger = pd.DataFrame({"user_id": 99, "item_id": [1, 2, 3], "timestamp": [0, 1_000_000, 2_000_000]})
    history = pd.concat([log, stranger])
    best = model.recommend([99], history=history, k=3)
    assert best["item_id"].iloc[0] == 77
    assert best["score"].iloc[0] > best["score"].iloc[1]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_do_not_hang_on_what_the_ids_are(fit: Callable[..., Any], fitted: Any, world: Any, kind: str) -> None:
    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        changes: dict[str, Any] = {"item_id": frame["item_id"].str[1:].astype(int) * 10 + 3}
        if "user_id" in frame:
            changes["user_id"] = [(user[0], int(user[1:])) for user in frame["user_id"]]
        return frame.assign(**changes)

    model = fit(kind, renamed(world.train), items=renamed(world.items))
    found = model.recommend([("u", 4), ("u", 0)], history=renamed(world.log), k=4)
    expected = fitted[kind].recommend(["u04", "u00"], history=world.log, k=4)
    assert found["user_id"].tolist() == [("u", 4)] * 4 + [("u", 0)] * 4
    assert found["item_id"].tolist() == renamed(expected[["item_id"]])["item_id"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_fitted_on_are_not_changed(fit: Callable[..., Any], world: Any, kind: str) -> None:
    train, items = world.train.copy(), world.items.copy()
    fit(kind, train, items=items)
    pd.testing.assert_frame_equal(train, world.train)
    pd.testing.assert_frame_equal(items, world.items)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_starts_anew(fit: Callable[..., Any], fitted: Any, world: Any, kind: str) -> None:
    model = fit(kind, world.log.iloc[::3].reset_index(drop=True))
    model.fit(world.train, items=world.items)
    pd.testing.assert_frame_equal(
        model.recommend(history=world.log, k=3), fitted[kind].recommend(history=world.log, k=3), check_exact=True
    )


@pytest.mark.parametrize("kind", KINDS)
def test_items_of_the_items_frame_join_the_catalog(fit: Callable[..., Any], fitted: Any, world: Any, kind: str) -> None:
    assert set(fitted[kind].items.vocabulary.ids) == set(world.items["item_id"])
    assert set(fit(kind, world.train).items.vocabulary.ids) == set(world.train["item_id"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_breaks_a_rule_is_refused(fit: Callable[..., Any], world: Any, kind: str) -> None:
    with pytest.raises(DataError, match=r"interactions has no column 'item_id'.*columns=\{'item_id': 'itemid'\}"):
        fit(kind, world.train.rename(columns={"item_id": "itemid"}))
    with pytest.raises(DataError, match=r"interactions has 1 of 84 rows that cannot be used: 1 with a null user_id"):
        fit(kind, world.train.assign(user_id=[None, *world.train["user_id"][1:]]))
    with pytest.raises(
        DataError, match=r"items has 1 rows that repeat the item_id of an earlier one \(row 14: 'i00'\)"
    ):
        fit(kind, world.train, items=pd.concat([world.items, world.items.head(1)]))


@pytest.mark.parametrize("kind", KINDS)
def test_items_whose_ids_are_of_another_kind_than_those_of_train_are_refused(fit: Any, world: Any, kind: str) -> None:
    items = pd.DataFrame({"item_id": [1, 2]})
    with pytest.raises(DataError, match=r"item_id is int in items \(such as 1\) but str in train"):
        fit(kind, world.train, items=items)
