"""Tests of the way from frames to what a fit needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, Numeric
from recattn.dataset import HistoryStore, Vocabulary
from recattn.errors import ConfigError, DataError
from recattn.training.prepare import FitData, Specs, joined, prepare_fit

LOG = pd.DataFrame(
    {
        "user_id": ["a", "b", "a", "c", "b", "a"],
        "item_id": ["x", "y", "y", "x", "x", "z"],
        "timestamp": [10, 20, 30, 40, 60, 70],
        "device": ["phone", "desk", "phone", "tv", "desk", "phone"],
    }
)
LATER = pd.DataFrame(
    {
        "user_id": ["a", "b", "b", "d", "c", "c"],
        "item_id": ["x", "z", "new", "y", "z", "z"],
        "timestamp": [100, 110, 110, 120, 130, 130],
        "device": ["phone", "desk", "desk", "watch", "tv", "tv"],
    }
)
ITEMS = pd.DataFrame({"item_id": ["cold", "x", "y", "z"], "price": [1000.0, 1.0, 2.0, 3.0]})


@pytest.fixture
def prepare(small_model: Callable[..., Any], small_train: Callable[..., Any]) -> Callable[..., FitData]:
    def run(train: Any = LOG, valid: Any = None, items: Any = None, users: Any = None, **named: Any) -> FitData:
        specs = Specs(named.pop("items_by", ()), named.pop("users_by", ()), named.pop("context_by", ()))
        target = named.pop("valid_target", "successive")
        settings = small_train(valid_target=target)
        return prepare_fit(train, valid, items, users, specs, small_model(**named), settings)

    return run


def test_the_catalog_is_the_items_frame_then_the_training_items(prepare: Any) -> None:
    data = prepare(items=ITEMS.iloc[:2])
    table = data.blueprint.table
    assert table.vocabulary.ids.tolist() == ["cold", "x", "y", "z"]
    assert table.id_row.tolist() == [0, 1, 2, 3, 4]
    assert prepare().blueprint.table.vocabulary.ids.tolist() == ["x", "y", "z"]


def test_features_are_learned_on_what_was_trained_on(prepare: Any) -> None:
    users = pd.DataFrame({"user_id": ["a", "b", "c", "d"], "age": [10.0, 20.0, 30.0, 999.0]})
    data = prepare(
        items=ITEMS,
        users=users,
        items_by=(Numeric("price"),),
        users_by=(Numeric("age"),),
        context_by=(Categorical("device"),),
        valid=LATER,
    )
    assert data.blueprint.table.fitted.features[0].mean == pytest.approx(2.0)
    assert data.blueprint.users.features[0].mean == pytest.approx(20.0)
    assert data.blueprint.context.features[0].values == ("desk", "phone", "tv")


def test_validation_asks_for_what_is_new_at_each_moment(prepare: Any) -> None:
    data = prepare(valid=LATER)
    validation = data.validation
    assert validation.requests.user_ids.tolist() == ["b", "c", "d"]
    assert validation.requests.as_of.tolist() == [110, 130, 120]
    assert validation.requests.lengths.tolist() == [2, 1, 0]
    z, y = data.blueprint.table.vocabulary.encode(["z", "y"])
    truths = [
        sorted(validation.truth[first:last].tolist())
        for first, last in zip(validation.offsets, validation.offsets[1:], strict=False)
    ]
    assert truths == [[-1, z], [z], [y]]  # unknown items stay, as misses; the same item twice counts once


def test_validation_sees_what_came_before_a_request_and_nothing_else(prepare: Any) -> None:
    validation = prepare(valid=LATER).validation
    store = validation.assembler.store
    for x, moment in enumerate(validation.requests.as_of):
        seen = slice(validation.requests.starts[x], validation.requests.stops[x])
        assert (store.times[seen] < moment).all()
    assert len(store) == len(LOG) + len(LATER) - 1  # without the unknown item


def test_context_of_a_validation_is_that_of_its_moment(prepare: Any) -> None:
    validation = prepare(valid=LATER, context_by=(Categorical("device"),)).validation
    assert validation.requests.context["device"].tolist() == ["desk", "tv", "watch"]


def test_training_from_a_store_equals_training_from_its_frame(prepare: Any, tmp_path: Path) -> None:
    log = LOG.assign(event_type=["view", "buy"] * 3)
    store = HistoryStore.from_frame(log, Vocabulary.from_values("item_id", log["item_id"]), extras=["device"])
    by = (Categorical("device"),)
    framed, stored = prepare(log, LATER, context_by=by), prepare(store.save(tmp_path / "store"), LATER, context_by=by)
    assert stored.assembler.store.digest == framed.assembler.store.digest
    assert stored.blueprint.time_scale == framed.blueprint.time_scale
    assert stored.blueprint.behaviours == framed.blueprint.behaviours
    np.testing.assert_array_equal(stored.validation.truth, framed.validation.truth)
    np.testing.assert_array_equal(stored.validation.requests.stops, framed.validation.requests.stops)


def test_items_of_a_store_without_interactions_are_not_in_the_catalog(prepare: Any) -> None:
    store = HistoryStore.from_frame(LOG, Vocabulary("item_id", ["ghost", "x", "y", "z"]))
    assert prepare(store).blueprint.table.vocabulary.ids.tolist() == ["x", "y", "z"]


def test_the_unit_of_ages_is_the_mean_span_of_a_history(prepare: Any) -> None:
    assert prepare().blueprint.time_scale == pytest.approx((60 + 40) / 2)
    assert prepare(LOG.assign(timestamp=5)).blueprint.time_scale == 1.0
    assert prepare(LOG, time="order").blueprint.time_scale == 1.0


def test_events_can_be_left_out(prepare: Any) -> None:
    log = LOG.assign(event_type="view")
    assert prepare(log).blueprint.behaviours is not None
    assert prepare(log, use_events=False).blueprint.behaviours is None


def test_one_item_is_nothing_to_rank(prepare: Any) -> None:
    with pytest.raises(DataError, match=r"3 users and 1 item with interactions; there is nothing to rank.*at least 2"):
        prepare(LOG.assign(item_id="x"))


def test_one_user_is_enough(prepare: Any) -> None:
    assert len(prepare(LOG[LOG["user_id"] == "a"].reset_index(drop=True)).assembler.store) == 3


def test_histories_of_one_interaction_teach_nothing(prepare: Any) -> None:
    with pytest.raises(DataError, match=r"none of the 3 users of train has 2 interactions, so no target has a history"):
        prepare(LOG.drop_duplicates("user_id").assign(item_id=["x", "y", "z"]))


def test_a_validation_with_nothing_new_is_refused(prepare: Any) -> None:
    old = pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [500]})
    with pytest.raises(DataError, match="valid holds nothing new: all its items were seen before by their users"):
        prepare(valid=old)


def test_a_missing_feature_column_names_the_nearest(prepare: Any) -> None:
    with pytest.raises(DataError, match=r"items has no column 'prise' .* Did you mean 'price'\?"):
        prepare(items=ITEMS, items_by=(Numeric("prise"),))
    with pytest.raises(DataError, match=r"no column 'divice'"):
        prepare(context_by=(Categorical("divice"),))


def test_text_in_a_numeric_feature_is_refused(prepare: Any) -> None:
    items = ITEMS.assign(price=["cheap", "1", "2", "3"])
    with pytest.raises(DataError, match=r"feature 'price' of items has text where numbers belong.*'cheap'"):
        prepare(items=items, items_by=(Numeric("price"),))


def test_features_need_their_frame(prepare: Any) -> None:
    with pytest.raises(ConfigError, match=r"item_features name 'price', but no items frame was given\. Pass items="):
        prepare(items_by=(Numeric("price"),))
    with pytest.raises(ConfigError, match=r"user_features name 'age', but no users frame was given\. Pass users="):
        prepare(users_by=(Numeric("age"),))


def test_a_store_must_suit_the_model(prepare: Any) -> None:
    store = HistoryStore.from_frame(LOG, Vocabulary("item_id", ["x", "y", "z"]))
    with pytest.raises(DataError, match=r"the train store has time='timestamp', ModelConfig\.time is 'order'"):
        prepare(store, time="order")
    with pytest.raises(DataError, match=r"the train store has no extra column 'device' for the context features"):
        prepare(store, context_by=(Categorical("device"),))


def test_ids_of_users_and_items_must_be_of_the_kind_those_of_train_are(prepare: Any) -> None:
    for train in (LOG, HistoryStore.from_frame(LOG, Vocabulary("item_id", ["x", "y", "z"]))):
        with pytest.raises(DataError, match=r"item_id is int in items .*but str in train"):
            prepare(train, items=ITEMS.assign(item_id=range(4)))
    with pytest.raises(DataError, match=r"user_id is int in users .*but str in train"):
        prepare(users=pd.DataFrame({"user_id": [1], "age": [30]}), users_by=(Numeric("age"),))


def test_logs_joined_by_order_go_on_counting() -> None:
    first = pd.DataFrame({"user_id": ["a", "b", "a"], "item_id": ["x", "y", "z"], "timestamp": [0, 0, 1]})
    second = pd.DataFrame({"user_id": ["b", "a", "c"], "item_id": ["p", "q", "r"], "timestamp": [0, 0, 0]})
    before = second.copy()
    from recattn.config import ModelConfig

    whole = joined(first, second, ModelConfig(time="order"))
    assert whole["timestamp"].tolist() == [0, 0, 1, 1, 2, 0]
    assert joined(first, second, ModelConfig())["timestamp"].tolist() == [0, 0, 1, 0, 0, 0]
    pd.testing.assert_frame_equal(second, before)


def test_frames_given_are_not_changed(prepare: Any) -> None:
    frames = [LOG.copy(), LATER.copy(), ITEMS.copy()]
    prepare(LOG, LATER, ITEMS, items_by=(Numeric("price"),), context_by=(Categorical("device"),))
    for frame, before in zip((LOG, LATER, ITEMS), frames, strict=True):
        pd.testing.assert_frame_equal(frame, before)
