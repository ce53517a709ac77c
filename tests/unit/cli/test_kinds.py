from __future__ import annotations

import pandas as pd
import pytest

from recattn.cli.kinds import BIAS, baselines, check_metrics, features, listed, metrics
from recattn.config import Categorical, Multi, Numeric
from recattn.errors import ConfigError


def test_features_are_made_by_kind() -> None:
    specs = [
        {"kind": "categorical", "column": "series"},
        {"kind": "multi", "column": "genres", "separator": ","},
        {"kind": "numeric", "column": "price", "log": True},
    ]
    assert features(specs, "item_features") == [Categorical("series"), Multi("genres", ","), Numeric("price", log=True)]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "mult", "column": "x"}, "item_features has no kind 'mult'. Did you mean 'multi'"),
        ({"column": "x"}, "item_features must be a mapping with a kind"),
        ({"kind": "multi", "colum": "x"}, "of kind 'multi' has no key 'colum'. Did you mean 'column'"),
        ({"kind": "numeric"}, "of kind 'numeric' lacks 'column'"),
        ({"kind": "numeric", "column": "x", "log": "yes"}, "log must be bool, got 'yes'"),
        ("numeric", "of kind 'numeric' lacks 'column'"),
    ],
)
def test_a_wrong_feature_says_what_would_be_right(spec: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        features([spec], "item_features")  # type: ignore[list-item]


def test_baselines_are_named_by_kind_and_settings() -> None:
    made = baselines(["popularity", {"kind": "popularity", "window": "7D"}, "item_knn", "recency"])
    assert list(made) == ["popularity", "popularity 7D", "item_knn", "recency"]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["popularty"], "baselines has no kind 'popularty'. Did you mean 'popularity'"),
        (["recency", "recency"], "baselines has 'recency' twice"),
        ([{"kind": "popularity", "windw": "7D"}], "no key 'windw'. Did you mean 'window'"),
    ],
)
def test_a_wrong_baseline_says_what_would_be_right(specs: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        baselines(specs)  # type: ignore[arg-type]


def test_every_metric_is_made_at_every_k() -> None:
    assert [metric.name for metric in metrics(["ndcg", "coverage"], [5, 10])] == [
        "ndcg_at_5",
        "ndcg_at_10",
        "coverage_at_5",
        "coverage_at_10",
    ]


def test_metrics_are_given_what_they_need_to_know() -> None:
    counts = pd.Series({"a": 3, "b": 1})
    made = metrics([*BIAS, "intra_list_diversity"], [2], popularity=counts, features=pd.Series({"a": "x", "b": "y"}))
    assert [metric.name for metric in made] == [
        "gini_at_2",
        "average_popularity_at_2",
        "novelty_at_2",
        "intra_list_diversity_at_2",
    ]
    with pytest.raises(ConfigError, match="novelty needs the interactions of each item: give --popularity FILE"):
        check_metrics(["gini", "novelty"], [10], ["features"])
    with pytest.raises(ConfigError, match=r"intra_list_diversity needs .*--items FILE and --diversity_column"):
        metrics(["intra_list_diversity"], [10], popularity=counts)
    with pytest.raises(ConfigError, match=r"metrics has no kind 'ginni'. Did you mean 'gini'"):
        check_metrics(["ginni"], [10], [])


def test_a_k_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        metrics(["ndcg"], [0])


@pytest.mark.parametrize(("given", "found"), [("a, b", ["a", "b"]), (["a"], ["a"]), (None, []), ("", [])])
def test_lists_come_from_yaml_or_from_text_with_commas(given: object, found: list[str]) -> None:
    assert listed(given) == found  # type: ignore[arg-type]
