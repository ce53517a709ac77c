"""Metrics of lists and of the catalog against plain lines."""

from __future__ import annotations

from itertools import combinations
from math import log2

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.evaluation import (
    AveragePopularity,
    Gini,
    IntraListDiversity,
    Novelty,
    Recall,
    Report,
    evaluate,
    mean_interval,
    paired_bootstrap,
    seeded_bootstrap,
)

COUNTS = pd.Series({"a": 8, "b": 4, "c": 3, "d": 1})
GENRES = pd.Series({"a": "x", "b": "x|y", "c": "y", "d": None, "e": "z"})
LISTS = {"u": "abc", "v": "ba", "w": "eda", "x": "d"}  # y has none
FRAME = pd.DataFrame(
    [(user, item, rank) for user, items in LISTS.items() for rank, item in enumerate(items, 1)],
    columns=["user_id", "item_id", "rank"],
)
TRUTH = pd.DataFrame({"user_id": list("uvwxy"), "item_id": "a"})


def report_of(*metrics: object, frame: pd.DataFrame = FRAME, **settings: object) -> Report:
    return evaluate(frame, TRUTH, list(metrics), **settings)  # type: ignore[arg-type]


def random_lists(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """40 lists of up to 8 of 30 items, with a truth row each."""
    rng = np.random.default_rng(seed)
    lists = [
        (user, item, rank) for user in range(40) for rank, item in enumerate(rng.permutation(30)[: rng.integers(9)])
    ]
    return pd.DataFrame(lists, columns=["user_id", "item_id", "rank"]), pd.DataFrame(
        {"user_id": range(40), "item_id": 1}
    )


def test_average_popularity_is_the_mean_count_of_the_first_places() -> None:
    found = report_of(AveragePopularity(2, COUNTS))
    expected = [(8 + 4) / 2, (4 + 8) / 2, (0 + 1) / 2, 1.0, np.nan]
    np.testing.assert_allclose(found.per_request["average_popularity_at_2"], expected)
    assert found.summary["average_popularity_at_2"] == pytest.approx(np.mean(expected[:4]))


def test_novelty_is_the_mean_self_information_in_bits() -> None:
    found = report_of(Novelty(2, COUNTS.to_dict()))
    bits = {"a": 1.0, "b": 2.0, "d": 4.0, "e": 4.0}  # 16 interactions; e, which has none, as if it had one
    expected = [
        (bits["a"] + bits["b"]) / 2,
        (bits["b"] + bits["a"]) / 2,
        (bits["e"] + bits["d"]) / 2,
        bits["d"],
        np.nan,
    ]
    np.testing.assert_allclose(found.per_request["novelty_at_2"], expected)


def test_diversity_by_categories_is_one_minus_the_mean_cosine_of_pairs() -> None:
    found = report_of(IntraListDiversity(3, GENRES, separator="|"))
    root = 1 / np.sqrt(2)
    u, v, w = 1 - (root + 0 + root) / 3, 1 - root, 1.0  # d has no genre: of w, e and a are left
    np.testing.assert_allclose(found.per_request["intra_list_diversity_at_3"], [u, v, w, np.nan, np.nan])
    as_lists = GENRES.map(lambda text: text.split("|") if isinstance(text, str) else text)
    assert report_of(IntraListDiversity(3, as_lists)).summary == found.summary


def test_a_category_named_twice_for_an_item_counts_once() -> None:
    genres = pd.Series({"a": "x|x", "b": "x|y", "c": "y|x|y"})
    once = pd.Series({"a": "x", "b": "x|y", "c": "x|y"})
    metrics = (IntraListDiversity(3, given, "|") for given in (genres, once))
    first, second = (report_of(metric).summary for metric in metrics)
    assert first == second


def test_diversity_of_one_category_each_is_the_share_of_unlike_pairs() -> None:
    found = report_of(IntraListDiversity(3, pd.Series({"a": 1, "b": 1, "c": 2, "d": 2, "e": 2})))
    np.testing.assert_allclose(found.per_request["intra_list_diversity_at_3"], [2 / 3, 0, 2 / 3, np.nan, np.nan])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_list_metrics_agree_with_plain_loops(k: int) -> None:
    frame, truth = random_lists(seed=k)
    rng = np.random.default_rng(k)
    vectors = pd.DataFrame(rng.normal(size=(30, 4)))
    vectors.iloc[3] = 0.0
    counts = pd.Series(rng.integers(0, 50, 30))
    metrics = [AveragePopularity(k, counts), Novelty(k, counts), IntraListDiversity(k, vectors), Gini(k)]
    report = evaluate(frame, truth, metrics, catalog=range(30))
    exposures = [0] * 30
    for row in report.per_request.itertuples(index=False):
        top = frame.loc[frame["user_id"] == row.user_id, "item_id"].tolist()[:k]
        pairs = [(vectors.loc[i], vectors.loc[j]) for i, j in combinations([i for i in top if i != 3], 2)]
        cosines = [one @ other / np.linalg.norm(one) / np.linalg.norm(other) for one, other in pairs]
        information = [-log2(max(counts[item], 1) / counts.sum()) for item in top]
        expected = [np.mean([counts[i] for i in top]) if top else np.nan, np.mean(information) if top else np.nan]
        expected.append(1 - np.mean(cosines) if pairs else np.nan)
        np.testing.assert_allclose(row[1:], expected, rtol=1e-9, atol=1e-12)
        for item in top:
            exposures[item] += 1
    differences = sum(abs(one - other) for one in exposures for other in exposures)
    assert report.summary[f"gini_at_{k}"] == pytest.approx(differences / (2 * 30 * sum(exposures)))


def test_gini_is_zero_for_equal_shares_and_near_one_for_one_item() -> None:
    positions = np.zeros(6, dtype=int)
    assert Gini(1).of_catalog(np.arange(6), positions, 6) == 0.0
    assert Gini(1).of_catalog(np.zeros(6, dtype=int), positions, 6) == pytest.approx(5 / 6)
    assert np.isnan(Gini(1).of_catalog(np.zeros(0, dtype=int), np.zeros(0, dtype=int), 6))


def test_gini_counts_the_first_places_over_the_catalog_given() -> None:
    by_ids = report_of(Gini(1), catalog=list("abcde"))
    assert by_ids.summary["gini_at_1"] == pytest.approx((0 * 1 - 2 * 0 + 2 * 1 + 4 * 1 + 0) / (5 * 4), abs=0.11)
    assert report_of(Gini(1), catalog_size=5).summary == by_ids.summary
    with pytest.raises(ConfigError, match="Gini needs the catalog"):
        report_of(Gini(1))


def test_ids_meet_whatever_their_dtype() -> None:
    frame, truth = random_lists(seed=1)
    counts = pd.Series(range(1, 31))
    texts = pd.Series(range(1, 31), index=pd.CategoricalIndex(range(30)))
    nullable = pd.Series(range(1, 31), index=pd.Index(range(30), dtype="Int64"))
    found = [evaluate(frame, truth, Novelty(5, given)).summary for given in (counts, texts, nullable)]
    assert found[0] == found[1] == found[2]


def test_requests_without_a_value_are_left_out_of_comparisons() -> None:
    first, second = report_of(Novelty(2, COUNTS)), report_of(Novelty(2, COUNTS), frame=FRAME.query("user_id != 'u'"))
    assert mean_interval(first, "novelty_at_2").requests == 4
    assert paired_bootstrap(first, second, "novelty_at_2").requests == 3
    assert seeded_bootstrap([first, first], [second], "novelty_at_2").requests == 3
    empty = report_of(Novelty(2, COUNTS), Recall(2), frame=FRAME.query("user_id == '?'"))
    with pytest.raises(DataError, match="novelty_at_2 has a value for no request in common"):
        paired_bootstrap(first, empty, "novelty_at_2")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Novelty(2, {"a": -1}), "popularity must be the interactions of each item"),
        (lambda: Novelty(2, pd.Series({"a": "many"})), "popularity must be the interactions of each item"),
        (lambda: AveragePopularity(2, {}), "popularity must be the interactions of each item"),
        (lambda: Novelty(2, pd.Series([1, 2], index=["a", "a"])), "popularity has 'a' more than once"),
        (lambda: IntraListDiversity(2, {"a": "x"}), "features must be a DataFrame of numbers or a Series .* got dict"),
        (lambda: IntraListDiversity(2, pd.DataFrame({"genre": ["x"]}, ["a"])), "no numbers: 'genre'"),
        (lambda: report_of(Novelty(2, {1: 5})), "novelty_at_2: popularity has none of the 5 items recommended"),
    ],
)
def test_what_metrics_cannot_work_with_is_refused(make: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()  # type: ignore[operator]
