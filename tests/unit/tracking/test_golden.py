"""Scores that a model must still give."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.errors import ArtifactError
from recattn.recommender import Recommender
from recattn.tracking import golden
from recattn.tracking.pyfunc import RequestScorer


@pytest.fixture
def folder(rich: Recommender, tmp_path: Path) -> Path:
    """A saved model with its golden batch."""
    rich.save(tmp_path / "model")
    golden.save(RequestScorer(rich), tmp_path / "model")
    return tmp_path / "model"


def test_the_requests_cover_histories_of_every_kind(rich: Recommender) -> None:
    asked = golden.requests(rich)
    lengths = asked["history_items"].map(len)
    assert lengths.min() == 0
    assert lengths.max() > rich.config.max_history
    for listed in (True, False):
        assert (lengths[asked["candidates"].notna() == listed] > 0).any()
        assert (lengths[asked["candidates"].notna() == listed] == 0).any()
    assert {item for row in asked["history_items"] for item in row} <= set(rich.items.vocabulary.ids)
    assert asked["history_events"].map(len).tolist() == lengths.tolist()
    assert all(max(row, default=0) < moment for row, moment in zip(asked["history_times"], asked["as_of"], strict=True))


def test_the_batch_is_the_same_every_time(rich: Recommender, folder: Path, tmp_path: Path) -> None:
    golden.save(RequestScorer(rich), tmp_path)
    assert (tmp_path / golden.FILE).read_bytes() == (folder / golden.FILE).read_bytes()


def test_a_model_read_back_passes_without_a_word(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        golden.check(RequestScorer(Recommender.load(folder)), folder)


def test_other_weights_are_told_with_what_was_around_then_and_now(folder: Path, stir: Any) -> None:
    model = Recommender.load(folder)
    stir(model)
    with pytest.raises(ArtifactError) as found:
        golden.check(RequestScorer(model), folder)
    now = f"torch {torch.__version__}, device cpu, dtype float32"
    assert f"Then: {now}" in str(found.value)
    assert f"Now: {now}" in str(found.value)
    assert "the largest difference is" in str(found.value)


@pytest.mark.parametrize(("change", "passes"), [(0.3, True), (3.0, False)])
def test_differences_count_from_the_tolerance_on(folder: Path, change: float, passes: bool) -> None:
    frame = pd.read_parquet(folder / golden.FILE)
    scores = [np.array(row, float) for row in frame["golden_score"]]
    scores[2][1] += change * golden.TOLERANCE * max(1.0, np.abs(scores[2]).max())
    frame["golden_score"] = scores
    frame.to_parquet(folder / golden.FILE)
    scorer = RequestScorer(Recommender.load(folder))
    if passes:
        golden.check(scorer, folder)
    else:
        with pytest.raises(ArtifactError, match=r"is 0\.0003 .*in the request of 1 interactions with candidates"):
            golden.check(scorer, folder)


def test_weights_of_half_precision_are_told(folder: Path) -> None:
    model = Recommender.load(folder)
    for weight in model.scorer.parameters():
        weight.data = weight.data.to(torch.bfloat16).float()
    with pytest.raises(ArtifactError, match="does not give the scores it gave"):
        golden.check(RequestScorer(model), folder)


def test_a_catalog_in_another_order_is_told(folder: Path) -> None:
    model = Recommender.load(folder)
    scorer = RequestScorer(model)
    scorer._items["i03"], scorer._items["i04"] = scorer._items["i04"], scorer._items["i03"]
    with pytest.raises(ArtifactError, match="does not give the scores it gave"):
        golden.check(scorer, folder)


def test_speed_chosen_by_the_process_is_left_out_and_left_alone(folder: Path) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        golden.check(RequestScorer(Recommender.load(folder)), folder)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_batch_that_cannot_be_read_is_told(folder: Path, damage: str) -> None:
    path = folder / golden.FILE
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match=r"the golden batch .*golden\.parquet cannot be read"):
        golden.check(RequestScorer(Recommender.load(folder)), folder)


def test_a_catalog_of_two_items_and_a_model_without_times_have_a_batch(small_model: Any, small_train: Any) -> None:
    log = pd.DataFrame({"user_id": list("aabb"), "item_id": [7, 8, 8, 7], "timestamp": [0, 1, 0, 1]})
    model = Recommender(small_model(time="order", ties="order"), small_train(max_epochs=1)).fit(log)
    asked = golden.requests(model)
    assert "history_times" not in asked
    assert set(asked["candidates"][0]) == {"7", "8"}
    assert len(RequestScorer(model).predict(asked)) == len(asked)
