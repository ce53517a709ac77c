"""Metrics against fractions worked by hand, and against scikit-learn and torchmetrics."""

from __future__ import annotations

import dataclasses
from math import log2

import numpy as np
import pytest

from recattn.errors import ConfigError, DataError
from recattn.evaluation import MAP, MRR, NDCG, Coverage, HitRate, Precision, Recall
from recattn.evaluation.metrics import RequestMetric

# five requests by rank; their truth has 1, 2, 1, 3, 4 items
HITS = np.array(
    [
        [1, 0, 0, 0],
        [0, 1, 0, 1],
        [0, 0, 0, 0],
        [1, 1, 1, 0],
        [0, 0, 1, 1],
    ],
    dtype=bool,
)
COUNTS = np.array([1, 2, 1, 3, 4])

D1, D2, D3, D4 = 1 / log2(2), 1 / log2(3), 1 / log2(4), 1 / log2(5)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Recall(1), [1 / 1, 0 / 2, 0 / 1, 1 / 3, 0 / 4]),
        (Recall(3), [1 / 1, 1 / 2, 0 / 1, 3 / 3, 1 / 4]),
        (Recall(4), [1 / 1, 2 / 2, 0 / 1, 3 / 3, 2 / 4]),
        (Recall(9), [1 / 1, 2 / 2, 0 / 1, 3 / 3, 2 / 4]),
        (HitRate(1), [1, 0, 0, 1, 0]),
        (HitRate(4), [1, 1, 0, 1, 1]),
        (Precision(1), [1 / 1, 0, 0, 1 / 1, 0]),
        (Precision(3), [1 / 3, 1 / 3, 0, 3 / 3, 1 / 3]),
        (Precision(8), [1 / 8, 2 / 8, 0, 3 / 8, 2 / 8]),
        (MRR(1), [1 / 1, 0, 0, 1 / 1, 0]),
        (MRR(2), [1 / 1, 1 / 2, 0, 1 / 1, 0]),
        (MRR(4), [1 / 1, 1 / 2, 0, 1 / 1, 1 / 3]),
        (MAP(1), [1, 0, 0, 1, 0]),
        (MAP(3), [1, (1 / 2) / 2, 0, (1 + 1 + 1) / 3, (1 / 3) / 3]),
        (MAP(9), [1, (1 / 2 + 2 / 4) / 2, 0, (1 + 1 + 1) / 3, (1 / 3 + 2 / 4) / 4]),
        (NDCG(1), [1, 0, 0, 1, 0]),
        (NDCG(2), [1, D2 / (D1 + D2), 0, 1, 0]),
        (NDCG(4), [1, (D2 + D4) / (D1 + D2), 0, 1, (D3 + D4) / (D1 + D2 + D3 + D4)]),
        (NDCG(9), [1, (D2 + D4) / (D1 + D2), 0, 1, (D3 + D4) / (D1 + D2 + D3 + D4)]),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_metric_equals_the_fractions_worked_by_hand(metric: RequestMetric, expected: list[float]) -> None:
    np.testing.assert_allclose(metric.per_request(HITS, COUNTS), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", [Recall, HitRate, Precision, MRR, MAP, NDCG])
def test_metric_is_zero_when_nobody_has_a_recommendation(kind: type[Recall]) -> None:
    assert kind(5).per_request(np.zeros((2, 0), dtype=bool), np.array([1, 3])).tolist() == [0, 0]


@pytest.mark.parametrize("kind", [Recall, HitRate, Precision, MRR, MAP, NDCG])
def test_metric_of_no_requests_is_empty(kind: type[Recall]) -> None:
    assert kind(5).per_request(np.zeros((0, 5), dtype=bool), np.zeros(0, dtype=int)).shape == (0,)


def test_ndcg_is_one_for_a_full_list_of_hits_when_the_truth_is_longer_than_k() -> None:
    assert NDCG(3).per_request(np.ones((1, 3), dtype=bool), np.array([50])) == pytest.approx(1.0)


def test_coverage_counts_items_of_the_first_k_places_once() -> None:
    items, positions = np.array([0, 1, 2, 0, 1, -1]), np.array([0, 1, 2, 0, 1, 1])
    assert Coverage(2).of_catalog(items, positions, 4) == 2 / 4
    assert Coverage(3).of_catalog(items, positions, 4) == 3 / 4


def test_coverage_refuses_a_catalog_smaller_than_what_was_recommended() -> None:
    with pytest.raises(DataError, match="3 items were recommended, more than catalog_size=2"):
        Coverage(5).of_catalog(np.array([0, 1, 2]), np.array([0, 1, 2]), 2)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (NDCG(10), "ndcg_at_10"),
        (Recall(np.int64(20)), "recall_at_20"),
        (HitRate(1), "hit_rate_at_1"),
        (Precision(5), "precision_at_5"),
        (MRR(10), "mrr_at_10"),
        (MAP(10), "map_at_10"),
        (Coverage(10), "coverage_at_10"),
    ],
)
def test_metric_has_a_name_that_trackers_accept(metric: RequestMetric, name: str) -> None:
    assert metric.name == name


@pytest.mark.parametrize("k", [0, -3, 2.5, "10", True, None])
def test_metric_refuses_a_k_that_is_no_positive_whole_number(k: object) -> None:
    with pytest.raises(ConfigError, match=r"NDCG needs k to be a whole number of at least 1, got "):
        NDCG(k)  # type: ignore[arg-type]


def test_metrics_are_values() -> None:
    assert NDCG(10) == NDCG(10) != NDCG(20)
    assert len({NDCG(10), NDCG(10), Recall(10)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        NDCG(10).k = 3  # type: ignore[misc]


def _random_lists(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Relevance and scores [30, 25] without ties, every request with some truth."""
    rng = np.random.default_rng(seed)
    relevant = rng.random((30, 25)) < rng.uniform(0.02, 0.6, size=(30, 1))
    relevant[np.arange(30), rng.integers(25, size=30)] = True
    return relevant, rng.permuted(np.tile(np.arange(1.0, 26.0), (30, 1)), axis=1)


def _hits(relevant: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.take_along_axis(relevant, np.argsort(-scores, axis=1), axis=1)


@pytest.mark.parametrize("k", [1, 3, 10, 25])
def test_ndcg_agrees_with_scikit_learn(k: int) -> None:
    from sklearn.metrics import ndcg_score

    relevant, scores = _random_lists(seed=k)
    ours = NDCG(k).per_request(_hits(relevant, scores), relevant.sum(axis=1))
    theirs = [ndcg_score(relevant[[x]], scores[[x]], k=k) for x in range(len(relevant))]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_map_of_the_whole_list_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    relevant, scores = _random_lists(seed=9)
    ours = MAP(25).per_request(_hits(relevant, scores), relevant.sum(axis=1))
    theirs = [average_precision_score(one, score) for one, score in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10, 25])
@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (Recall, "retrieval_recall"),
        (Precision, "retrieval_precision"),
        (HitRate, "retrieval_hit_rate"),
        (MRR, "retrieval_reciprocal_rank"),
        (NDCG, "retrieval_normalized_dcg"),
    ],
)
def test_metric_agrees_with_torchmetrics(kind: type[Recall], function: str, k: int) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.retrieval")
    relevant, scores = _random_lists(seed=100 + k)
    ours = kind(k).per_request(_hits(relevant, scores), relevant.sum(axis=1))
    theirs = [
        float(getattr(functional, function)(torch.tensor(s), torch.tensor(r), top_k=k))
        for r, s in zip(relevant, scores, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
