"""Tests of the whole road: features, moments, orders, ties, from the fit to the frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, Numeric
from recattn.dataset import leave_last_out, split_by_time
from recattn.errors import ConfigError, DataError
from recattn.evaluation import NDCG, Recall, evaluate
from recattn.recommender import Recommender
from recattn.schema import DataWarning


@pytest.fixture
def new(
    small_model: Callable[..., Any], small_train: Callable[..., Any], one_thread: None
) -> Callable[..., Recommender]:
    """`new(time="order", seed=2)`: a Recommender that is not fitted; settings by name."""

    def make(**settings: Any) -> Recommender:
        names = type(small_model()).__dataclass_fields__
        model = {name: settings.pop(name) for name in list(settings) if name in names}
        specs = {name: settings.pop(name) for name in list(settings) if name.endswith("_features")}
        return Recommender(small_model(**model), small_train(**({"max_epochs": 1} | settings)), **specs)

    return make


SLATE = pd.DataFrame({"user_id": ["u01", "u11"], "item_id": ["i04", "i13"], "device": "desk", "hour": 3.0})


def scores(model: Recommender, world: Any, slate: pd.DataFrame = SLATE, **named: Any) -> list[float]:
    return model.score(slate, history=world.log, **({"users": world.users} | named))["score"].tolist()


def test_what_a_request_says_of_itself_changes_its_scores(rich: Recommender, world: Any) -> None:
    base = scores(rich, world)
    assert scores(rich, world, SLATE.assign(device="phone"))[0] != base[0]
    assert scores(rich, world, SLATE.assign(hour=9.0))[0] != base[0]
    assert scores(rich, world, SLATE.assign(device="watch"))[0] != base[0]
    assert scores(rich, world, SLATE.assign(note="no feature")) == base


def test_what_a_user_is_changes_the_scores(rich: Recommender, world: Any) -> None:
    base = scores(rich, world)
    older = scores(rich, world, users=world.users.assign(age=world.users["age"] + 40))
    assert older[0] != base[0]
    assert older[1] == base[1], "u11 is in no users frame"
    missing = scores(rich, world, users=None)
    assert missing[0] != base[0]
    assert missing[1] == base[1]


def test_what_a_past_interaction_was_changes_the_scores(rich: Recommender, world: Any) -> None:
    base = scores(rich, world)
    for column, value in (("event_type", "view"), ("weight", 9.0)):
        other = rich.score(SLATE, history=world.log.assign(**{column: value}), users=world.users)["score"].tolist()
        assert other != base
    unused = rich.score(SLATE, history=world.log.assign(device="desk", hour=0.0), users=world.users)["score"].tolist()
    assert unused == base, "the context of the past is no input"


def test_requests_carry_their_context(rich: Recommender, world: Any) -> None:
    requests = SLATE[["user_id", "device", "hour"]]
    found = rich.recommend(requests, history=world.log, user_features=world.users, k=14, exclude_seen=False)
    slate = found[["user_id", "item_id"]].merge(requests)
    expected = rich.score(slate, history=world.log, users=world.users)["score"]
    np.testing.assert_allclose(found["score"], expected, rtol=1e-4, atol=1e-5)


def test_requests_without_context_are_answered_with_a_word(rich: Recommender, world: Any) -> None:
    bare = SLATE[["user_id", "item_id"]]
    message = r"none of the context columns the model was fitted with \('device', 'hour'\): all of it counts as missing"
    with pytest.warns(DataWarning, match=message):
        expected = scores(rich, world, bare)
    with pytest.warns(DataWarning, match=message):
        assert scores(rich, world, bare.assign(note="x")) == expected
    with pytest.warns(DataWarning, match=message):
        rich.recommend(["u01"], history=world.log, user_features=world.users, k=1)
    assert scores(rich, world, SLATE.assign(device=None, hour=None)) == expected


def test_features_that_differ_from_the_models_are_refused(rich: Recommender, world: Any) -> None:
    with pytest.raises(DataError, match=r"context has features that differ from the model's: no column 'hour'"):
        scores(rich, world, SLATE.drop(columns="hour"))
    with pytest.raises(DataError, match=r"feature 'hour' of context has text where numbers belong.*'late'"):
        scores(rich, world, SLATE.assign(hour="late"))
    with pytest.raises(DataError, match=r"users has features that differ from the model's: no column 'age'"):
        scores(rich, world, users=world.users.drop(columns="age"))


def test_each_row_of_a_slate_has_its_own_context(rich: Recommender, world: Any) -> None:
    slate = pd.DataFrame(
        {"user_id": "u00", "item_id": "i04", "device": ["phone", "desk", None], "hour": [1.0, 20.0, 5.0]}
    )
    whole = rich.score(slate, history=world.log, users=world.users)["score"]
    alone = [rich.score(slate.iloc[[row]], history=world.log, users=world.users)["score"].iloc[0] for row in range(3)]
    assert whole.nunique() == 3
    np.testing.assert_allclose(whole, alone, rtol=1e-4, atol=1e-6)


def test_explanations_come_with_features_too(rich: Recommender, world: Any) -> None:
    found = rich.explain(SLATE, history=world.log, users=world.users, top=2)
    assert found["row"].tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found["score"][::2], scores(rich, world), rtol=1e-4, atol=1e-5)
    assert (found["change"].abs() > 0).all()
    with pytest.raises(ConfigError, match="top must be a whole number of at least 1, got 0"):
        rich.explain(SLATE, history=world.log, top=0)


@pytest.mark.parametrize("request_time", ["hidden", "given"])
def test_ages_count_from_what_the_model_is_told(new: Any, world: Any, stir: Any, request_time: str) -> None:
    model = new(request_time=request_time).fit(world.train)
    stir(model)
    end = int(world.log["timestamp"].max()) + 1
    slate = SLATE[["user_id"]].assign(item_id="i04")
    soon, later = (model.score(slate, history=world.log, as_of=end + wait)["score"] for wait in (0, 10**6))
    assert (soon.tolist() == later.tolist()) == (request_time == "hidden")


def test_nothing_at_or_after_the_moment_changes_an_answer(rich: Recommender, world: Any) -> None:
    moment = int(world.log["timestamp"].iloc[60])
    past = world.log[world.log["timestamp"] < moment]
    for other in (past, world.log.assign(item_id=world.log["item_id"].where(world.log["timestamp"] < moment, "i02"))):
        asked: dict[str, Any] = {"as_of": moment, "users": world.users}
        first, second = (rich.score(SLATE, history=log, **asked) for log in (world.log, other))
        pd.testing.assert_frame_equal(first, second, check_exact=True)
        first, second = (rich.explain(SLATE, history=log, **asked) for log in (world.log, other))
        pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_order_alone_goes_the_whole_road(new: Any, world: Any, tmp_path: Path) -> None:
    split = leave_last_out(world.log.drop(columns="timestamp"), time="order")
    model = new(time="order", max_epochs=2).fit(split.train, valid=split.valid)
    assert model.best_epoch is not None
    requests, history = split.requests("test"), split.history("test")
    found = model.recommend(requests, history=history, k=5)
    report = evaluate(found, split.truth("test"), [NDCG(5), Recall(5)])
    assert report.policy["requests_without_recommendations"] == 0
    slate = SLATE[["user_id"]].assign(item_id="i04")
    explained = model.explain(slate, history=history)
    assert "history_timestamp" not in explained
    assert explained["row"].tolist() == [0] * 3 + [1] * 3
    model.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.recommend(requests, history=history, k=5), found, check_exact=True)
    with pytest.raises(ConfigError, match="as_of=5 needs times"):
        model.score(slate, history=history, as_of=5)


def test_a_time_split_goes_the_whole_road(new: Any, world: Any, features: dict[str, Any]) -> None:
    split = split_by_time(world.log, q=0.75)
    model = new(max_epochs=2, **features).fit(split.train, items=world.items, users=world.users, valid=split.valid)
    requests = split.requests("test", "successive")
    found = model.recommend(requests, history=split.history("test"), user_features=world.users, k=5)
    report = evaluate(found, split.truth("test", "successive"), NDCG(5), seen="drop")
    assert report.policy["requests_without_recommendations"] == 0
    assert set(found["request_id"]) == set(requests["request_id"])


@pytest.mark.parametrize(("ties", "visible"), [("exclude", 2), ("order", 3)])
def test_a_basket_is_its_own_history_only_by_order(new: Any, ties: Any, visible: int, world: Any) -> None:
    basket = pd.DataFrame({"user_id": "x", "item_id": ["i01", "i02", "i03", "i04"], "timestamp": [10, 20, 30, 30]})
    log = world.log[["user_id", "item_id", "timestamp"]]
    model = new(ties=ties).fit(world.train)
    history = pd.concat([log, basket], ignore_index=True)
    request = pd.DataFrame({"user_id": ["x"], "timestamp": [30], "position": [3]})  # the second of the basket
    slate = pd.DataFrame({"user_id": ["x"], "item_id": ["i09"]})
    found = model.recommend(request, history=history, k=12)
    assert set(found["item_id"]) == {f"i{n:02}" for n in range(12)} - {f"i{n:02}" for n in range(1, visible + 1)}
    explained = model.explain(slate.assign(position=3), history=history, top=9, as_of=30)
    assert len(explained) == visible
    with pytest.raises(ConfigError, match=r"ModelConfig\.ties must be one of exclude, order"):
        new(ties="both")


def test_the_same_history_as_order_or_with_ties_by_order_trains_alike(new: Any, world: Any) -> None:
    """Without times the model has nothing but the order, whatever the ties say."""
    by_order = new(time="order").fit(world.train)
    assert by_order.config.ties == "exclude"
    other = new(time="order", ties="order").fit(world.train)
    pd.testing.assert_frame_equal(
        by_order.recommend(history=world.log, k=3), other.recommend(history=world.log, k=3), check_exact=True
    )


def test_one_user_is_enough(new: Any, world: Any) -> None:
    one = world.log[world.log["user_id"] == "u00"]
    found = new().fit(one).recommend(history=one, k=2, exclude_seen=False)
    assert found["user_id"].tolist() == ["u00"] * 2


def test_one_item_is_nothing_to_rank(new: Any, world: Any) -> None:
    with pytest.raises(DataError, match=r"train has 12 users and 1 item with interactions; there is nothing to rank"):
        new().fit(world.train.assign(item_id="i00"))


def test_histories_without_a_past_teach_nothing(new: Any, world: Any) -> None:
    with pytest.raises(DataError, match="none of the 12 users of train has 2 interactions"):
        new().fit(world.train.drop_duplicates("user_id"))


def test_features_of_a_fit_are_checked(new: Any, world: Any) -> None:
    with pytest.raises(
        DataError, match=r"feature 'kind' of items has text where numbers belong.*Categorical\('kind'\)"
    ):
        new(item_features=[Numeric("kind")]).fit(world.train, items=world.items)
    with pytest.raises(DataError, match=r"items has no column 'kinds'.*Did you mean 'kind'"):
        new(item_features=[Categorical("kinds")]).fit(world.train, items=world.items)
    with pytest.raises(ConfigError, match="user_features name 'plan', but no users frame was given"):
        new(user_features=[Categorical("plan")]).fit(world.train)


def test_settings_that_do_not_fit_together_are_refused(new: Any, world: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"resume=True needs checkpoint_dir"):
        new().fit(world.train, resume=True)
    with pytest.raises(ConfigError, match=r"refit=True needs valid"):
        new().fit(world.train, refit=True)
    model = new().fit(world.train)
    model.config = new(dim=4).config
    with pytest.raises(ConfigError, match=r"warm_start needs the ModelConfig the model was fitted with"):
        model.fit(world.train, warm_start=True)


def test_a_model_of_the_first_format_keeps_loading() -> None:
    """The folder was written when format 1 was new; see its README."""
    home = Path(__file__).parents[1] / "data" / "model_format_1"
    expected = json.loads((home / "expected.json").read_text())
    model = Recommender.load(home / "model")
    frames = {name: pd.DataFrame(expected[name]) for name in ("history", "users", "slate", "requests")}
    found = model.score(frames["slate"], history=frames["history"], users=frames["users"])
    np.testing.assert_allclose(found["score"], expected["scores"], rtol=1e-5, atol=1e-5)
    asked: dict[str, Any] = {"history": frames["history"], "user_features": frames["users"], "k": 3}
    best = model.recommend(frames["requests"], **asked)
    assert best["item_id"].tolist() == expected["best"]
    assert model.explain(frames["slate"], history=frames["history"], users=frames["users"], top=1)["row"].tolist()
    assert "kind" in [spec.column for spec in model.item_features]
