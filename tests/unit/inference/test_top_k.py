"""Tests of the best k of many scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recattn.inference.top_k import top_k

INF = torch.inf


def test_best_come_first() -> None:
    columns, scores = top_k(torch.tensor([[0.5, 2.0, 1.0], [3.0, -1.0, 0.0]]), 2)
    assert columns.tolist() == [[1, 2], [0, 2]]
    assert scores.tolist() == [[2.0, 1.0], [3.0, 0.0]]


def test_equal_scores_are_ranked_by_column() -> None:
    columns, scores = top_k(torch.tensor([[1.0, 7.0, 7.0, 7.0, 0.0]]), 3)
    assert columns.tolist() == [[1, 2, 3]]
    assert scores.tolist() == [[7.0, 7.0, 7.0]]


def test_a_tie_across_the_last_place_goes_to_the_lower_column() -> None:
    scores = torch.zeros(1, 50)
    scores[0, 30] = 1.0
    assert top_k(scores, 4)[0].tolist() == [[30, 0, 1, 2]]


def test_k_beyond_the_columns_gives_them_all() -> None:
    columns, scores = top_k(torch.tensor([[1.0, 2.0]]), 10)
    assert columns.tolist() == [[1, 0]]
    assert scores.tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize("shape", [(3, 0), (0, 4), (0, 0)])
def test_nothing_to_rank_gives_nothing(shape: tuple[int, int]) -> None:
    columns, scores = top_k(torch.zeros(shape), 2)
    assert columns.shape == scores.shape == (shape[0], min(2, shape[1]))


def test_k_of_zero_gives_no_columns() -> None:
    assert top_k(torch.ones(2, 3), 0)[0].shape == (2, 0)


def test_what_is_ruled_out_comes_last() -> None:
    columns, scores = top_k(torch.tensor([[-INF, 1.0, -INF, 2.0]]), 3)
    assert columns[0, :2].tolist() == [3, 1]
    assert scores[0].tolist() == [2.0, 1.0, -INF]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 17, 40])
def test_it_agrees_with_a_stable_sort_where_scores_are_often_equal(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, size=(20, 40)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    columns, values = top_k(torch.from_numpy(scores), k)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    finite = np.take_along_axis(scores, expected, axis=1) > -np.inf
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(scores, expected, axis=1))
    np.testing.assert_array_equal(columns.numpy()[finite], expected[finite])


def test_the_scores_given_are_not_changed() -> None:
    scores = torch.tensor([[1.0, 1.0, 1.0]])
    top_k(scores, 2)
    assert scores.tolist() == [[1.0, 1.0, 1.0]]
