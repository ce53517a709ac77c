"""Picking the best columns."""

from __future__ import annotations

import numpy as np
import pytest

from recattn.baselines.top_k import top_k

NONE = -np.inf


def pick(rows: list[list[float]], k: int) -> list[list[int]]:
    return top_k(np.array(rows, dtype=np.float32), k)[0].tolist()


def test_best_come_first_with_their_scores() -> None:
    columns, scores = top_k(np.array([[0.1, 3.0, -2.0, 1.0]], dtype=np.float32), 3)
    assert columns.tolist() == [[1, 3, 0]]
    assert scores.tolist() == [[3.0, 1.0, np.float32(0.1)]]


def test_equal_scores_keep_the_order_of_columns_across_the_cut() -> None:
    assert pick([[1, 2, 1, 2, 1], [0, 0, 0, 0, 0]], 3) == [[1, 3, 0], [0, 1, 2]]
    assert pick([[0.0, -0.0, 0.0]], 2) == [[0, 1]]


def test_negative_scores_sort_as_numbers() -> None:
    assert pick([[-3, -0.5, -2, -1]], 4) == [[1, 3, 2, 0]]


def test_forbidden_columns_leave_places_open() -> None:
    assert pick([[NONE, 1, NONE], [NONE, NONE, NONE]], 2) == [[1, -1], [-1, -1]]


@pytest.mark.parametrize(("shape", "k", "expected"), [((0, 4), 2, (0, 2)), ((3, 0), 2, (3, 0)), ((2, 3), 9, (2, 3))])
def test_shapes_of_empty_and_short_matrices(shape: tuple[int, int], k: int, expected: tuple[int, int]) -> None:
    columns, scores = top_k(np.zeros(shape, dtype=np.float32), k)
    assert columns.shape == scores.shape == expected


def test_agrees_with_a_full_stable_sort() -> None:
    scores = np.random.default_rng(0).integers(-4, 5, size=(50, 40)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(top_k(scores, 7)[0], expected)
