"""Tests of the whole two-stage job and of its form as plain values."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import recattn as ra
from recattn.candidates import Deny, FromFrame, Mmr, Neighbors, Popular, Retrieval, TwoStage, Union, cap, job, two_stage
from recattn.errors import ConfigError, DataError
from recattn.schema import check_recommendations

NAMES = ["user_id", "item_id", "rank"]


@pytest.fixture(scope="module")
def everything(world: Any) -> FromFrame:
    """The whole catalog for everybody."""
    return FromFrame(world.items[["item_id"]])


def rows(frame: pd.DataFrame, columns: list[str] = NAMES) -> list[list[object]]:
    return frame[columns].to_numpy().tolist()


@pytest.mark.parametrize("stage", [None, "attention", "retrieval"])
def test_with_the_whole_catalog_as_candidates_it_is_recommend(
    stage: Any, everything: FromFrame, plain: Any, world: Any
) -> None:
    found = two_stage(plain, everything, history=world.log, k=4, stage=stage)
    expected = plain.recommend(history=world.log, k=4, stage=stage)
    assert rows(found) == rows(expected)
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-6)
    check_recommendations(found)


def test_features_and_context_reach_the_scores(everything: FromFrame, rich: Any, world: Any) -> None:
    asked = world.valid[["user_id", "timestamp", "device", "hour"]].assign(request_id=range(len(world.valid)))
    options = {"history": world.log, "k": 3, "user_features": world.users}
    found = two_stage(rich, everything, asked, **options)
    expected = rich.recommend(asked, **options)
    assert rows(found, ["request_id", *NAMES]) == rows(expected, ["request_id", *NAMES])
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-6)


def test_requests_some_at_a_time_give_the_same(plain: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request a piece, one of them of somebody new."""
    users = [*world.train["user_id"].unique(), "new"]
    generator = Union([Popular(window="2h"), Neighbors(), Retrieval()])
    options = {"history": world.train, "k": 3, "candidates": 5, "post": [Mmr(trade_off=0.5)]}
    whole = two_stage(plain, generator, users, **options)
    monkeypatch.setattr(job, "_PAIRS", 5)
    pieces = two_stage(plain, generator, users, **options)
    assert rows(pieces) == rows(whole)
    np.testing.assert_allclose(pieces["score"], whole["score"], rtol=1e-5, atol=1e-6)
    assert set(whole["source"]) <= {"popular", "neighbors", "retrieval"}
    assert "neighbors" not in set(whole.loc[whole["user_id"] == "new", "source"])


def test_only_candidates_are_recommended_with_the_models_scores(plain: Any, world: Any) -> None:
    slate = pd.DataFrame({"user_id": ["u00", "u00", "u01"], "item_id": ["i02", "i12", "i03"]})
    with pytest.warns(UserWarning, match="1 of 3 candidates are items the model does not know, left out"):
        found = two_stage(plain, FromFrame(slate), ["u00", "u01"], history=world.log, exclude_seen=False)
    scores = plain.score(slate, history=world.log).dropna(subset="score")
    assert rows(found, ["user_id", "item_id"]) == rows(scores, ["user_id", "item_id"])
    np.testing.assert_allclose(found["score"], scores["score"], rtol=1e-5)


def test_one_policy_for_seen_items_holds_for_all_parts(everything: FromFrame, plain: Any, world: Any) -> None:
    parts = Union([Popular(exclude_seen=False), Retrieval(exclude_seen=False), everything])
    seen = set(zip(world.log["user_id"], world.log["item_id"], strict=True))
    options = {"history": world.log, "k": 12, "candidates": 12}

    def given(generator: Any, policy: bool) -> set[Any]:
        found = two_stage(plain, generator, exclude_seen=policy, **options)
        return set(zip(found["user_id"], found["item_id"], strict=True))

    assert not given(parts, True) & seen
    assert given(Union([Popular(), Retrieval()]), False) >= seen


def test_filters_and_post_processors_work_in_their_order(everything: FromFrame, plain: Any, world: Any) -> None:
    caps = ra.Cap(world.items, "kind", most=1)
    found = two_stage(
        plain, everything, history=world.log, k=2, filters=[Deny(["i04", "i07"])], post=[caps], exclude_seen=False
    )
    assert not found["item_id"].isin(["i04", "i07"]).any()
    ranked = plain.recommend(history=world.log, k=12, exclude_seen=False)
    ranked = ranked[~ranked["item_id"].isin(["i04", "i07"])]
    expected = cap(ranked, world.items, by="kind", most=1, k=2)
    assert rows(found) == rows(expected)


def test_items_the_catalog_does_not_have_yet_are_left_out(world: Any, small_model: Any, small_train: Any) -> None:
    start = int(world.log["timestamp"].min())
    items = world.items.assign(available_from=start + 3600 * np.arange(len(world.items)))
    model = ra.Recommender(small_model(), small_train(max_epochs=1)).fit(world.train, items=items)
    asked = pd.DataFrame({"user_id": ["u01"], "timestamp": [start + 3 * 3600]})
    options = {"history": world.log, "k": 14, "exclude_seen": False}
    found = two_stage(model, FromFrame(items[["item_id"]]), asked, **options)
    assert set(found["item_id"]) == {"i00", "i01", "i02", "i03"}
    assert rows(found) == rows(model.recommend(asked, **options))


def test_an_order_only_model_does_the_same(
    world: Any, everything: FromFrame, small_model: Any, small_train: Any
) -> None:
    log = world.train.assign(timestamp=world.train.groupby("user_id").cumcount())
    model = ra.Recommender(small_model(time="order", ties="order"), small_train(max_epochs=1)).fit(log)
    asked = pd.DataFrame({"user_id": ["u01", "u02"], "position": [4, 2]})
    with pytest.warns(UserWarning, match="items the model does not know"):
        found = two_stage(model, everything, asked, history=log, k=3)
    assert rows(found) == rows(model.recommend(asked, history=log, k=3))
    union = two_stage(model, Union([Popular(), Neighbors(), Retrieval()]), asked, history=log, k=3)
    assert union.groupby("user_id").size().to_dict() == {"u01": 3, "u02": 3}
    with pytest.raises(ConfigError, match="as_of=5 needs times"):
        two_stage(model, everything, asked, history=log, as_of=5)


def test_what_became_of_candidates_is_told(plain: Any, world: Any, caplog: pytest.LogCaptureFixture) -> None:
    slate = FromFrame(pd.DataFrame({"user_id": ["u01", "u01"], "item_id": ["i02", "i03"]}))
    with caplog.at_level(logging.INFO, "recattn"), pytest.warns(UserWarning, match="1 of 2 requests have no recomm"):
        found = two_stage(plain, slate, ["u01", "u02"], history=world.log, filters=[Deny(["i02"])], exclude_seen=False)
    assert rows(found) == [["u01", "i03", 1]]
    assert "Deny leaves out 1 of 2 candidates" in caplog.text


def test_a_generator_without_any_candidate_is_an_error(plain: Any, world: Any) -> None:
    nobody = FromFrame(pd.DataFrame({"user_id": ["other"], "item_id": ["i02"]}))
    with pytest.raises(DataError, match=r"FromFrame.* found no candidate for anybody.*another generator in a Union"):
        two_stage(plain, nobody, ["u01"], history=world.log)


def test_candidates_of_another_kind_of_ids_are_an_error(plain: Any, world: Any) -> None:
    with pytest.raises(DataError, match=r"item_id is int in the frame of FromFrame.* but str in the model"):
        two_stage(plain, FromFrame(pd.DataFrame({"item_id": [1, 2]})), ["u01"], history=world.log)


def test_filters_that_leave_nothing_give_an_empty_frame(plain: Any, world: Any) -> None:
    with pytest.warns(UserWarning, match="1 of 1 requests have no recommendation"):
        found = two_stage(plain, Popular(), ["u01"], history=world.log, filters=[Deny(world.items)], post=[Mmr()])
    assert found.empty
    assert found.columns.tolist() == ["user_id", "item_id", "score", "rank", "source"]


def test_nobody_asked_is_an_empty_frame(plain: Any, world: Any) -> None:
    nobody = world.log.head(0)[["user_id"]]
    assert two_stage(plain, Union([Popular(), Neighbors()]), nobody, history=world.log).empty


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"candidates": 0}, "candidates must be a whole number of at least 1, got 0"),
        ({"stage": "deeper"}, "stage must be one of"),
        ({"filters": Deny(["i01"])}, r"filters must be a list, got .*Pass \["),
        ({"post": Mmr()}, "post must be a list, got Mmr"),
        ({"filters": [Popular()]}, r"filters\[0\] must be an object with a method 'keep' \(CandidateFilter\)"),
        ({"post": [Popular()]}, r"post\[0\] must be an object with a method 'apply'"),
        ({"generator": Popular}, "generator must be an object with a method 'candidates'"),
        ({"model": "model/"}, "model must be a fitted Recommender, got 'model/'"),
    ],
)
def test_jobs_that_cannot_be_are_refused(changes: dict[str, Any], says: str, plain: Any, world: Any) -> None:
    settings = {"model": plain, "generator": Popular(), "history": world.log} | changes
    with pytest.raises(ConfigError, match=says):
        two_stage(**settings)


YAML = """
candidates: 8
generator:
  kind: union
  parts: [{kind: popular, window: 3h}, {kind: neighbors, neighbors: 20}, retrieval]
filters: [{kind: deny, items: [i04]}, {kind: allow, items: allow.csv, unlisted: all}]
post:
  - {kind: cap, items: items.csv, by: kind, most: 1}
  - {kind: mmr, trade_off: 0.4}
"""


def test_one_file_describes_the_job(plain: Any, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    allow = pd.DataFrame({"user_id": ["u01", "u01"], "item_id": ["i02", "i03"]})
    allow.to_csv("allow.csv", index=False)
    world.items.to_csv("items.csv", index=False)
    Path("stages.yaml").write_text(YAML)
    found = TwoStage.read("stages.yaml").recommend(plain, history=world.train, k=2)
    expected = two_stage(
        plain,
        Union([Popular("3h"), Neighbors(20), Retrieval()]),
        history=world.train,
        k=2,
        candidates=8,
        filters=[Deny(["i04"]), ra.Allow(allow, unlisted="all")],
        post=[ra.Cap(world.items, "kind", 1), Mmr(trade_off=0.4)],
    )
    pd.testing.assert_frame_equal(found, expected)
    assert set(found.loc[found["user_id"] == "u01", "item_id"]) <= {"i02", "i03"}


def test_likeness_may_be_by_categories_of_a_file(plain: Any, world: Any, tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    world.items.to_parquet(path)
    post = [{"kind": "mmr", "items": str(path), "by": "kind", "trade_off": 0.0}]
    found = TwoStage.from_config({"generator": "popular", "post": post}).recommend(plain, history=world.train, k=3)
    kinds = world.items.set_index("item_id")["kind"]
    assert found["item_id"].map(kinds).groupby(found["user_id"]).nunique().min() >= 2


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "lacks 'generator', one of: popular, neighbors, retrieval, frame, union"),
        ({"generators": "popular"}, "no key 'generators'. Did you mean 'generator'"),
        ({"generator": "poplar"}, "generator has no kind 'poplar'. Did you mean 'popular'"),
        ({"generator": {"kind": "popular", "windows": "7D"}}, "has no key 'windows'. Did you mean 'window'"),
        ({"generator": {"kind": "popular", "window": 7}}, "Popular.window must be a span of time"),
        ({"generator": {"kind": "frame"}}, "generator of kind 'frame' lacks 'path'"),
        ({"generator": {"kind": "union", "parts": ["recency"]}}, r"parts\[0\] has no kind 'recency'"),
        ({"generator": {"kind": "union", "parts": "popular"}}, "parts must be a list of generators, got 'popular'"),
        ({"generator": {"kind": "neighbors", "neighbors": "many"}}, "neighbors must be int, got 'many'"),
        ({"generator": {"kind": "neighbors", "neighbors": 0}}, "ItemKNN.neighbors must be at least 1, got 0"),
        ({"generator": "popular", "candidates": 0}, "candidates must be a whole number of at least 1, got 0"),
        ({"generator": "popular", "stage": "depp"}, "stage must be one of .* Did you mean 'deep'"),
        ({"generator": "popular", "exclude_seen": "no"}, "exclude_seen must be true or false, got 'no'"),
        ({"generator": "popular", "filters": {"kind": "seen"}}, "filters must be a list of mappings with a kind"),
        ({"generator": "popular", "filters": ["denny"]}, r"filters\[0\] has no kind 'denny'. Did you mean 'deny'"),
        ({"generator": "popular", "post": [{"kind": "mmr", "trade_off": 2}]}, r"trade_off must lie in \[0, 1\], got 2"),
        ({"generator": "popular", "post": [{"kind": "mmr", "by": "kind"}]}, "items and by go together"),
        (
            {"generator": "popular", "post": [{"kind": "cap", "items": "i.csv", "most": 0}]},
            "most must be a whole number",
        ),
        (["popular"], "a two-stage job must be a mapping with a generator"),
    ],
)
def test_a_config_that_cannot_be_names_what_is_wrong(config: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        TwoStage.from_config(config)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the two-stage job '.*none.yaml'"):
        TwoStage.read(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("generator: [")
    with pytest.raises(ConfigError, match=r"bad.yaml' is no YAML"):
        TwoStage.read(tmp_path / "bad.yaml")


def test_a_plain_job_warns_of_nothing(plain: Any, world: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = two_stage(plain, Union([Popular(), Neighbors(), Retrieval()]), history=world.train, k=3)
    assert found.groupby("user_id").size().eq(3).all()
