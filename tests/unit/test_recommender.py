"""Tests of the model as its users meet it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.config import Multi, TrainConfig
from recattn.dataset import HistoryStore, Vocabulary
from recattn.errors import ArtifactError, ConfigError, NotFittedError, TrainingError
from recattn.inference import Cascade
from recattn.recommender import Recommender
from recattn.training import lit_scorer


def weights(model: Recommender) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.scorer.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture
def new(
    small_model: Callable[..., Any], small_train: Callable[..., Any], one_thread: None
) -> Callable[..., Recommender]:
    """`new(dim=4, seed=2)`: a Recommender that is not fitted; settings by name."""

    def make(*, cascade: Cascade | None = None, **settings: Any) -> Recommender:
        names = type(small_model()).__dataclass_fields__
        model = {name: settings.pop(name) for name in list(settings) if name in names}
        return Recommender(small_model(**model), small_train(**({"max_epochs": 1} | settings)), cascade=cascade)

    return make


def test_fit_gives_the_model_back(new: Any, world: Any) -> None:
    model = new()
    assert model.fit(world.train) is model
    assert [entry["epoch"] for entry in model.curve] == [0]
    assert model.best_epoch is None
    assert len(model.items) == 1 + 12


def test_a_walk_round_a_circle_is_learned(new: Any, world: Any) -> None:
    """No popularity, no co-occurrence tells what comes next: only the order does."""
    model = new(max_epochs=60, batch_size=12, learning_rate=0.02, num_negatives=24, head_positions=8, dropout=0.0)
    model.fit(world.train)
    found = model.recommend(history=world.log, k=1, exclude_seen=False)
    last = world.log.groupby("user_id")["item_id"].last().str[1:].astype(int)
    expected = ((last + 1) % 12).map("i{:02}".format)
    right = (found.set_index("user_id")["item_id"] == expected).mean()
    assert right >= 0.75


def test_the_model_keeps_no_users(rich: Recommender, world: Any) -> None:
    text = pickle.dumps(rich)
    assert b"i03" in text
    assert b"u03" not in text


def test_a_model_can_be_pickled(rich: Recommender, world: Any) -> None:
    again = pickle.loads(pickle.dumps(rich))
    question: dict[str, Any] = {"history": world.log, "k": 4, "user_features": world.users}
    with pytest.warns(UserWarning, match="none of the context columns"):
        pd.testing.assert_frame_equal(again.recommend(**question), rich.recommend(**question))


def test_fitting_again_starts_anew_unless_warm(new: Any, world: Any) -> None:
    model = new().fit(world.train)
    first = weights(model)
    assert same(weights(model.fit(world.train)), first)
    model.train_config = new(learning_rate=1e-30).train_config
    assert same(weights(model.fit(world.train, warm_start=True)), first)
    assert not same(weights(model.fit(world.train)), first)


def test_a_warm_start_learns_on_and_takes_new_items_in(new: Any, world: Any) -> None:
    model = new(max_epochs=8).fit(world.train)
    more = pd.concat([world.log, world.log.tail(3).assign(item_id="new", timestamp=2_000_000_000)], ignore_index=True)
    model.train_config = new(max_epochs=1).train_config
    warm = model.fit(more, warm_start=True).curve[0]["train/retrieval_loss"]
    cold = new(max_epochs=1).fit(more).curve[0]["train/retrieval_loss"]
    assert warm < cold
    assert "new" in model.items.vocabulary


def test_a_failed_fit_leaves_the_model_as_it_was(new: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new().fit(world.train)
    before, curve = weights(model), model.curve
    monkeypatch.setattr(lit_scorer, "window_losses", lambda *_: {"retrieval": torch.tensor(torch.nan)})
    for warm in (False, True):
        with pytest.raises(TrainingError, match="became nan at epoch 0, step 0"):
            model.fit(world.train, warm_start=warm)
        assert same(weights(model), before)
        assert model.curve is curve


def test_data_may_be_files_frames_or_stores(new: Any, world: Any, tmp_path: Path) -> None:
    world.train.to_parquet(tmp_path / "train.parquet")
    world.items.to_csv(tmp_path / "items.csv", index=False)
    expected = weights(new().fit(world.train, items=world.items))
    assert same(weights(new().fit(tmp_path / "train.parquet", items=tmp_path / "items.csv")), expected)
    store = HistoryStore.from_frame(world.train, Vocabulary.from_values("item_id", world.train["item_id"]))
    assert same(weights(new().fit(store.save(tmp_path / "store"), items=world.items)), expected)


@pytest.mark.parametrize("ask", ["similar_items", "explain", "save", "scorer", "warm_start"])
def test_nothing_works_before_a_fit(new: Any, world: Any, tmp_path: Path, ask: str) -> None:
    model = new()
    slate = pd.DataFrame({"user_id": ["u00"], "item_id": ["i00"]})
    calls: dict[str, Callable[[], Any]] = {
        "similar_items": lambda: model.similar_items(["i00"]),
        "explain": lambda: model.explain(slate, history=world.log),
        "save": lambda: model.save(tmp_path / "model"),
        "scorer": lambda: model.scorer,
        "warm_start": lambda: model.fit(world.train, warm_start=True),
    }
    with pytest.raises(NotFittedError, match=r"not fitted yet\. Call fit\(train\) or Recommender\.load\(path\) first"):
        calls[ask]()
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_gives_the_same_answers(rich: Recommender, world: Any, tmp_path: Path) -> None:
    rich.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model")
    requests = pd.DataFrame({"user_id": ["u02", "u11"], "device": ["desk", "watch"], "hour": [1.0, None]})
    first, second = (
        (
            model.recommend(requests, history=world.log, k=5, user_features=world.users),
            model.similar_items(["i03"], 4),
        )
        for model in (rich, again)
    )
    for mine, theirs in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    assert again.settings() == rich.settings()
    assert (again.item_features, again.user_features, again.context_features) == (
        rich.item_features,
        rich.user_features,
        rich.context_features,
    )


def test_saving_over_a_model_needs_a_word(plain: Recommender, tmp_path: Path) -> None:
    plain.save(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"already exists\. Pass overwrite=True"):
        plain.save(tmp_path / "model")
    plain.save(tmp_path / "model", overwrite=True)


def test_a_loaded_model_can_be_fitted_on(plain: Recommender, world: Any, tmp_path: Path) -> None:
    plain.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model")
    again.fit(world.log, warm_start=True)
    assert len(again.curve) == 2
    assert not same(weights(again), weights(plain))


@pytest.mark.parametrize("stage", ["retrieval", "attention", "deep"])
def test_a_cheaper_score_may_be_asked_for(rich: Recommender, world: Any, stage: Any) -> None:
    slate = pd.DataFrame({"user_id": "u01", "item_id": world.items["item_id"], "device": "desk", "hour": 3.0})
    requests = slate[["user_id", "device", "hour"]].head(1)
    named: dict[str, Any] = {"history": world.log, "stage": stage}
    scores = rich.score(slate, users=world.users, **named).set_index("item_id")["score"]
    found = rich.recommend(requests, user_features=world.users, k=14, exclude_seen=False, **named)
    assert found["item_id"].tolist() == scores.sort_values(ascending=False).index.tolist()
    np.testing.assert_allclose(found["score"], scores[found["item_id"]], rtol=1e-4, atol=1e-5)
    default = rich.recommend(requests, history=world.log, user_features=world.users, k=14, exclude_seen=False)
    assert (found["score"].tolist() == default["score"].tolist()) == (stage == "deep")


def test_a_score_the_model_lacks_is_refused(new: Any, world: Any) -> None:
    model = new(score="attention").fit(world.train)
    slate = pd.DataFrame({"user_id": ["u00"], "item_id": ["i00"]})
    for stage in ("deep", "best"):
        message = f"stage must be one of retrieval, attention, the scores this model has, got '{stage}'"
        with pytest.raises(ConfigError, match=message):
            model.recommend(["u00"], history=world.log, stage=stage)
        with pytest.raises(ConfigError, match=message):
            model.score(slate, history=world.log, stage=stage)


def test_threads_and_device_are_given_back(plain: Recommender, world: Any) -> None:
    before = torch.get_num_threads()
    expected = plain.recommend(history=world.log, k=3)
    found = plain.recommend(history=world.log, k=3, threads=before + 1, device="cpu")
    pd.testing.assert_frame_equal(found, expected)
    slate = pd.DataFrame({"user_id": ["u00"], "item_id": ["i00"]})
    plain.score(slate, history=world.log, threads=before + 1, device="cpu")
    assert torch.get_num_threads() == before
    assert plain.scorer.start.device.type == "cpu"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"device": "toaster"}, r"device must be one that torch knows, such as 'cpu' or 'cuda', got 'toaster'"),
        ({"threads": 0}, r"threads must be at least 1, got 0"),
        ({"threads": "2"}, r"threads must be at least 1, got '2'"),
    ],
)
def test_a_device_that_is_none_is_refused(plain: Recommender, world: Any, named: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plain.recommend(["u00"], history=world.log, **named)


def test_a_device_that_is_not_there_is_refused(plain: Recommender, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device='cuda:1' is asked for, but torch sees no CUDA device here"):
        plain.recommend(["u00"], history=world.log, device="cuda:1")


def test_the_cascade_is_announced_and_changes_nothing_where_it_keeps_all(
    new: Any, world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = new(max_epochs=2).fit(world.train)
    whole = model.recommend(history=world.log, k=4, exclude_seen=False)
    assert "retrieval keeps" not in caplog.text
    model.cascade = Cascade(threshold=5, retrieval=12, attention=12)
    with caplog.at_level(logging.INFO, logger="recattn"):
        staged = model.recommend(history=world.log, k=4, exclude_seen=False)
    assert "the catalog has 12 items: retrieval keeps 12, attention 12 of them for the deep score" in caplog.text
    assert staged["item_id"].tolist() == whole["item_id"].tolist()
    np.testing.assert_allclose(staged["score"], whole["score"], rtol=1e-5, atol=1e-6)


def test_the_moment_asked_about_is_told(plain: Recommender, world: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="recattn"):
        plain.recommend(["u00"], history=world.log, k=1)
    end = pd.Timestamp(int(world.log["timestamp"].max()) + 1, unit="s")
    assert f"as_of is {end}, just after the end of the history" in caplog.text


def test_settings_are_plain_values(plain: Recommender) -> None:
    import json

    assert json.loads(json.dumps(plain.settings()))["model"]["dim"] == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": {"dim": 8}}, r"model must be a ModelConfig, got \{'dim': 8\}"),
        ({"model": TrainConfig()}, r"model must be a ModelConfig, got TrainConfig\("),
        ({"train": 3}, r"train must be a TrainConfig, got 3"),
        ({"item_features": Multi("genres")}, r"features of items must be a list, got Multi\(.*\)\. Write \[Multi\("),
        ({"user_features": "age"}, r"features of users must be a list, got 'age'"),
        ({"context_features": ["device"]}, r"features of context hold 'device', which is not a feature"),
    ],
)
def test_settings_of_the_wrong_kind_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recommender(**settings)
