"""Tests of what moved a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recattn.inference import explain as explain_module
from recattn.inference.explain import all_falls, explanations
from recattn.inference.predictor import Predictor

SLATE = pd.DataFrame(
    {
        "user_id": ["u03", "u00", "u03", "u05", "u03"],
        "item_id": ["i01", "i02", "i13", "i05", "nowhere"],
        "device": ["desk", "phone", "desk", "phone", "desk"],
        "hour": [1.0, 2.0, 1.0, 3.0, 1.0],
    }
)


def explained(bench: Any, slate: pd.DataFrame, top: int) -> pd.DataFrame:
    predictor = Predictor(bench.scorer, bench.plan.table)
    return explanations(predictor, bench.assembler, bench.slate(slate), slate, top)


def one_by_one(bench: Any, slate: pd.DataFrame) -> pd.DataFrame:
    """The same, by a batch of its own for every row and interaction."""
    lines = []
    for row in range(len(slate)):
        requests = bench.slate(slate.iloc[[row]])
        if requests.candidates[0] < 1:
            continue
        batch = bench.assembler.requests(requests)
        with torch.inference_mode():
            score = float(bench.scorer(batch)[0, 0])
            first = requests.stops[0] - batch.history.mask.sum().item()
            for place in range(batch.history.mask.sum().item()):
                mask = batch.history.mask.clone()
                mask[0, place] = False
                other = bench.scorer(batch._replace(history=batch.history._replace(mask=mask)))
                item = bench.store.item_vocabulary.decode(bench.store.items[[first + place]])[0]
                lines.append((row, item, int(bench.store.times[first + place]), score, score - float(other[0, 0])))
    return pd.DataFrame(lines, columns=["row", "history_item_id", "history_timestamp", "score", "change"])


def test_it_equals_masking_one_interaction_after_another(bench: Any) -> None:
    found = explained(bench, SLATE, 20).sort_values(["row", "history_timestamp"], ignore_index=True)
    expected = one_by_one(bench, SLATE)
    assert found["row"].tolist() == expected["row"].tolist()
    assert found["history_item_id"].tolist() == expected["history_item_id"].tolist()
    assert found["history_timestamp"].tolist() == expected["history_timestamp"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["change"], expected["change"], rtol=1e-3, atol=2e-5)
    assert expected["change"].abs().max() > 0.05, "the stirred model does not look at its history"


def test_only_the_interactions_the_model_sees_are_masked(build_bench: Callable[..., Any], world: Any) -> None:
    long = pd.DataFrame({"user_id": "u00", "item_id": [f"i{n % 12:02}" for n in range(25)], "timestamp": range(25)})
    bench = build_bench(long)
    found = explained(bench, pd.DataFrame({"user_id": ["u00"], "item_id": ["i03"]}), 99)
    assert sorted(found["history_timestamp"].tolist()) == list(range(15, 25))
    assert found["history_position"].tolist() == found["history_timestamp"].tolist(), "all 25 are visible"


def test_lines_are_ranked_by_the_size_of_the_change(bench: Any) -> None:
    found = explained(bench, SLATE, 4)
    for _, lines in found.groupby("row"):
        assert lines["rank"].tolist() == [1, 2, 3, 4]
        assert lines["change"].abs().is_monotonic_decreasing
    whole = explained(bench, SLATE, 99)
    pd.testing.assert_frame_equal(whole[whole["rank"] <= 4].reset_index(drop=True), found)


def test_rows_follow_the_slate_and_unknown_items_have_no_line(bench: Any) -> None:
    found = explained(bench, SLATE, 1)
    assert found["row"].tolist() == [0, 1, 2, 3]
    assert found["user_id"].tolist() == ["u03", "u00", "u03", "u05"]
    assert found["item_id"].tolist() == ["i01", "i02", "i13", "i05"]
    assert list(found.columns) == [
        "row",
        "user_id",
        "item_id",
        "score",
        "rank",
        "history_item_id",
        "history_timestamp",
        "history_position",
        "change",
    ]


def test_requests_without_history_have_no_line(bench: Any) -> None:
    slate = pd.DataFrame({"user_id": ["nobody", "u01"], "item_id": ["i01", "i02"]})
    found = explained(bench, slate, 2)
    assert found["row"].tolist() == [1, 1]
    early = SLATE.assign(timestamp=0)
    nothing = explained(bench, early, 2)
    assert len(nothing) == 0
    assert list(nothing.columns) == list(found.columns)
    assert nothing.dtypes["row"] == found.dtypes["row"]


def test_equal_changes_name_the_later_interaction_first(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        explain_module,
        "all_falls",
        lambda *args: (found._replace(falls=np.zeros_like(found.falls)) for found in all_falls(*args)),
    )
    found = explained(bench, SLATE.head(1), 9)
    assert found["history_timestamp"].is_monotonic_decreasing


@pytest.mark.parametrize(("budget", "at_once"), [(1, 3), (3_000, 4), (20_000, 2)])
def test_small_batches_change_nothing(bench: Any, monkeypatch: pytest.MonkeyPatch, budget: int, at_once: int) -> None:
    whole = explained(bench, SLATE, 3)
    monkeypatch.setattr(explain_module, "BUDGET", budget)
    monkeypatch.setattr(explain_module, "AT_ONCE", at_once)
    parts = explained(bench, SLATE, 3)
    pd.testing.assert_frame_equal(parts, whole, rtol=1e-4, atol=1e-5)


def test_the_slate_is_not_changed(bench: Any) -> None:
    slate = SLATE.copy()
    explained(bench, slate, 3)
    pd.testing.assert_frame_equal(slate, SLATE)
