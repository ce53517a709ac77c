"""Overlap and change of lists against small cases worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from recattn.comparison import Contender, compare
from recattn.comparison.lists import agreements, jaccard, rank_biased_overlap
from recattn.evaluation import Report

FIRST = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, -1, -1], [-1, -1, -1]])
SECOND = np.array([[1, 2, 3], [3, 2, 1], [4, 5, 6], [1, -1, -1], [-1, -1, -1]])


def test_overlap_is_shared_items_over_all() -> None:
    assert jaccard(FIRST, SECOND)[:4].tolist() == [1, 1, 0, 1]
    assert np.isnan(jaccard(FIRST, SECOND)[4])
    assert jaccard(np.array([[1, 2]]), np.array([[2, 3]])).tolist() == [1 / 3]


def test_agreement_by_depth_and_rank_biased_overlap() -> None:
    agree = agreements(FIRST, SECOND)
    assert agree[1].tolist() == pytest.approx([0, 0.5, 1])
    p = 0.9
    turned = (1 - p) * (0 + 0.5 * p + 1 * p**2) + p**3
    assert rank_biased_overlap(agree)[:4].tolist() == pytest.approx([1, turned, 0, 1])


def test_lists_of_contenders_are_set_beside_each_other(
    make_report: Callable[..., Report], make_lists: Callable[..., pd.DataFrame]
) -> None:
    a, b = (
        Contender(name, (make_report(found),), recommendations=make_lists(found))
        for name, found in (("a", 0.2), ("b", 0.6))
    )
    turned = make_lists(0.2).sample(frac=1, random_state=0)
    result = compare([a, b, Contender("c", (make_report(0.2),), recommendations=turned)], popularity={"7": 3.0})
    pairs = result.pairs.set_index(["first", "second"])
    assert pairs.loc[("a", "c"), ["overlap", "rbo", "same_first"]].tolist() == pytest.approx([1, 1, 1])
    assert 0.8 < pairs.loc[("a", "b"), "overlap"] < 1
    assert pairs.loc[("a", "b"), "rbo"] == pairs.loc[("b", "a"), "rbo"]
    exposure = result.exposure.set_index("contender")
    assert exposure["items"].tolist() == [make_lists(found)["item_id"].nunique() for found in (0.2, 0.6, 0.2)]
    shown = (make_lists(0.6)["item_id"] == 7).mean() * 3.0
    assert exposure.loc["b", "popularity"] == pytest.approx(shown)
    assert exposure.loc["a", "new"] == 0
    changed = result.changed[result.changed["contender"] == "b"]
    assert len(changed) == 5
    assert changed["rbo"].is_monotonic_increasing
    assert len(changed["items"].iloc[0]) == 10


def test_without_lists_it_is_said(make_report: Callable[..., Report]) -> None:
    result = compare({"a": make_report(0.2), "b": make_report(0.4)})
    assert result.pairs.empty
    assert any(note.startswith("No lists are kept for a, b") for note in result.notes)
