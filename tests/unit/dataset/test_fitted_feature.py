"""Tests of what is learned for one feature column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, FeatureSpec, Multi, Numeric
from recattn.dataset.fitted_feature import FittedFeature
from recattn.errors import ArtifactError, DataError

WHERE = "feature 'x' of items"


def fit(spec: FeatureSpec, values: Any) -> FittedFeature:
    return FittedFeature.fit(spec, pd.Series(values, name="x"), WHERE)


def codes(fitted: FittedFeature, values: Any) -> list[int]:
    return fitted.categorical(pd.Series(values), WHERE).tolist()


def parts(fitted: FittedFeature, values: Any) -> list[list[int]]:
    found, offsets = fitted.multi(pd.Series(values), WHERE)
    return [row.tolist() for row in np.split(found, offsets[1:-1])]


def numbers(fitted: FittedFeature, values: Any) -> np.ndarray:
    return np.stack(fitted.numeric(pd.Series(values), WHERE), axis=1)


def test_codes_are_0_for_missing_1_for_unseen_and_2_on_for_known_values_in_sorted_order() -> None:
    fitted = fit(Categorical("x"), ["b", None, "a", "b"])
    assert codes(fitted, ["a", "b", "c", None, np.nan, pd.NA]) == [2, 3, 1, 0, 0, 0]


def test_a_whole_float_has_the_code_of_the_int_it_equals() -> None:
    fitted = fit(Categorical("x"), [3, 4])
    assert codes(fitted, [3.0, np.nan, 4.0, 3.5]) == [2, 0, 3, 1]
    assert codes(fit(Categorical("x"), [3.0, np.nan]), np.array([3], dtype=np.int8)) == [2]
    assert codes(fitted, pd.array([4, None], dtype="Int64")) == [3, 0]


def test_booleans_and_category_columns_are_values_too() -> None:
    assert codes(fit(Categorical("x"), [True, False]), [True, None, False]) == [3, 0, 2]
    fitted = fit(Categorical("x"), pd.Categorical(["a", "b"], categories=["b", "a", "unused"]))
    assert fitted.values == ("a", "b")


def test_numbers_come_before_text_in_a_column_that_has_both() -> None:
    assert fit(Categorical("x"), ["a", 2, "1", 1]).values == (1, 2, "1", "a")


def test_text_is_cut_at_the_separator_stripped_and_rid_of_empty_parts() -> None:
    fitted = fit(Multi("x", separator=","), ["a, b", " ,b,,", None])
    assert fitted.values == ("a", "b")
    assert parts(fitted, ["b,a", "", " , ", "a,c", None, np.nan]) == [[3, 2], [], [], [2, 1], [], []]


@pytest.mark.parametrize("kind", [list, tuple, np.array, set])
def test_lists_give_what_their_text_gives(kind: type) -> None:
    fitted = fit(Multi("x"), ["a|b", "c"])
    cells = pd.Series([kind(["a", "b"]), None, kind(["c"]), kind([])], dtype=object)
    assert parts(fitted, cells) == [[2, 3], [], [4], []]
    assert fit(Multi("x"), cells) == fitted


def test_lists_hold_numbers_missing_parts_and_unseen_ones() -> None:
    fitted = fit(Multi("x"), [[2, 1], [1.0, None, np.nan]])
    assert fitted.values == (1, 2)
    assert parts(fitted, [[2.0, 9, pd.NA, 1], [], np.array([1, 1])]) == [[3, 1, 2], [], [2, 2]]
    assert parts(fitted, [2, 1.0]) == [[3], [2]]


def test_numbers_are_centred_and_scaled_by_the_population_and_missing_ones_are_flagged() -> None:
    fitted = fit(Numeric("x"), [1.0, 3.0, np.nan])
    assert (fitted.mean, fitted.std) == (2.0, 1.0)
    assert numbers(fitted, [1.0, np.nan, 6.0]).tolist() == [[-1, 0], [0, 1], [4, 0]]


def test_logarithm_keeps_the_sign_and_comes_before_the_statistics() -> None:
    raw = fit(Numeric("x", log=True, standardize=False), [1.0])
    np.testing.assert_allclose(numbers(raw, [-3.0, 0.0, 3.0])[:, 0], [-np.log(4), 0, np.log(4)], rtol=1e-6)
    fitted = fit(Numeric("x", log=True), [0.0, np.e - 1])
    assert (fitted.mean, fitted.std) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("value", [0.1, 7, -1e-9])
def test_a_constant_number_becomes_zero_with_deviation_one(value: float) -> None:
    fitted = fit(Numeric("x"), [value] * 10)
    assert fitted.std == 1.0
    assert numbers(fitted, [value, value + 2]).tolist() == [[0, 0], [2, 0]]


def test_numeric_scaling_agrees_with_scikit_learn() -> None:
    from sklearn.preprocessing import StandardScaler

    values = np.random.default_rng(0).normal(5, 3, 100)
    ours = numbers(fit(Numeric("x"), values[:60]), values)[:, 0]
    theirs = StandardScaler().fit(values[:60, None]).transform(values[:, None])[:, 0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_numbers_of_any_pandas_kind_are_read() -> None:
    fitted = fit(Numeric("x", standardize=False), [0.0])
    for values in (pd.array([2, None], dtype="Int64"), pd.Series(["2", None]), pd.Categorical([2, None])):
        assert numbers(fitted, values).tolist() == [[2, 0], [0, 1]]
    assert numbers(fitted, [True, False]).tolist() == [[1, 0], [0, 0]]


def test_a_saved_feature_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"kind 'image'; this version knows 'categorical', 'multi', 'numeric'"):
        FittedFeature.from_dict({"kind": "image", "column": "x"})


def test_numbers_where_the_model_learned_text_are_refused_instead_of_all_unseen() -> None:
    with pytest.raises(DataError, match=r"holds numbers \(like 1\) but held text \(like '1'\) .*differ from"):
        fit(Categorical("x"), ["1", "2"]).categorical(pd.Series([1, 2]), WHERE)
    with pytest.raises(DataError, match=r"holds text \(like 'a'\) but held numbers"):
        fit(Multi("x"), [[1, 2]]).multi(pd.Series(["a|b"]), WHERE)
