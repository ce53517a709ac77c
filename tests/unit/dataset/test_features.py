"""Tests of the encoding of feature columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, Multi, Numeric
from recattn.dataset.features import FeatureArrays, FittedFeatures
from recattn.errors import ConfigError, DataError

SPECS = (Numeric("price", log=True), Categorical("kind"), Multi("tags"), Numeric("size"))


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": ["book", None, "film", "book"],
            "tags": ["new|old", "", None, " old "],
            "price": [1.0, np.nan, -3.0, 5.0],
            "size": [10, 20, 30, 40],
        }
    )


def fit(frame: pd.DataFrame, rows: Any = None) -> FittedFeatures:
    return FittedFeatures.fit(SPECS, frame, what="items", rows=rows)


def same(left: FeatureArrays, right: FeatureArrays) -> bool:
    first, second = left.to_arrays(), right.to_arrays()
    types = [[(name, array.dtype) for name, array in arrays.items()] for arrays in (first, second)]
    return types[0] == types[1] and all(np.array_equal(first[name], second[name]) for name in first)


def test_arrays_have_one_row_a_row_of_the_frame_with_columns_in_the_order_of_the_specs() -> None:
    arrays = fit(frame()).transform(frame())
    assert (arrays.categorical.tolist(), arrays.categorical.dtype) == ([[2], [0], [3], [2]], np.int32)
    [(values, offsets)] = arrays.multi
    assert (values.tolist(), values.dtype) == ([2, 3, 3], np.int32)
    assert (offsets.tolist(), offsets.dtype) == ([0, 2, 2, 2, 3], np.int64)
    assert (arrays.numeric.shape, arrays.numeric.dtype, len(arrays)) == ((4, 4), np.float32, 4)
    assert arrays.numeric[:, 1].tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(arrays.numeric[:, 2], np.array([-3, -1, 1, 3]) / np.sqrt(5), rtol=1e-6)


def test_cardinalities_count_missing_and_unseen() -> None:
    assert fit(frame()).cardinalities == ((4,), (4,))
    assert fit(frame()).num_numeric == 2
    assert fit(frame()).specs == SPECS


def test_values_are_learned_in_the_same_order_whatever_the_order_of_the_rows() -> None:
    assert [one.values for one in fit(frame()).features] == [one.values for one in fit(frame()[::-1]).features]


def test_statistics_come_from_train_rows_only() -> None:
    rows = frame()
    train = np.array([True, False, False, False])
    fitted = fit(rows, train)
    assert fitted == fit(rows[:1])
    assert fitted.transform(rows).categorical[:, 0].tolist() == [2, 0, 1, 2]
    other = rows.assign(kind="x", tags="y|z", price=9.0, size=9)
    changed = pd.concat([rows[train], other[~train]])
    assert fit(changed, train) == fitted


def test_a_column_in_which_all_is_missing_is_fitted() -> None:
    empty = pd.DataFrame({name: [None, None] for name in ("price", "kind", "tags", "size")})
    fitted = fit(empty)
    assert fitted.cardinalities == ((2,), (2,))
    assert same(fitted.transform(empty), fitted.missing(2))
    assert fitted.transform(frame()).categorical[:, 0].tolist() == [1, 0, 1, 1]


def test_an_empty_frame_gives_empty_arrays() -> None:
    fitted = fit(frame())
    assert same(fitted.transform(frame()[:0]), fitted.missing(0))
    nothing = fit(frame()[:0])
    assert nothing.cardinalities == ((2,), (2,))


def test_no_specs_give_arrays_without_columns() -> None:
    fitted = FittedFeatures.fit((), frame(), what="items")
    arrays = fitted.transform(frame())
    assert (len(arrays), arrays.multi, arrays.numeric.shape, fitted.num_numeric) == (4, (), (4, 0), 0)
    assert len(arrays.take([0, -1, 3])) == 3


def test_the_frame_of_the_caller_is_not_changed() -> None:
    rows, before = frame(), frame()
    fit(rows, [True, False, True, True]).transform(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_the_index_of_the_frame_plays_no_part() -> None:
    fitted = fit(frame())
    assert same(fitted.transform(frame().set_axis([5, 5, 1, 0])), fitted.transform(frame()))


def test_saving_through_json_keeps_every_value_its_type_and_every_bit() -> None:
    specs = [
        Categorical("a"),
        Multi("b", separator=";"),
        Numeric("c", log=True),
        Numeric("d", standardize=False),
        Categorical("e"),
    ]
    rows = pd.DataFrame(
        {"e": [True, None, None], "a": ["1", 1, 2.5], "b": ["x;y", None, "z"], "c": [0.1, 0.2, 0.7], "d": 1}
    )
    fitted = FittedFeatures.fit(specs, rows, what="users")
    again = FittedFeatures.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted
    assert [type(value) for value in again.features[0].values] == [int, float, str]
    assert again.features[4].values[0] is True
    assert same(again.transform(rows), fitted.transform(rows))


def test_a_misspelt_column_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"items has no column 'knd' for the feature Cat.*Did you mean 'kind'"):
        FittedFeatures.fit([Categorical("knd")], frame(), what="items")


def test_features_that_differ_from_the_models_are_named_with_the_nearest() -> None:
    fitted = fit(frame())
    renamed = frame().rename(columns={"price": "prices"})
    message = r"items has features that differ from the model's: no column 'price'.*Did you mean 'prices'\?"
    with pytest.raises(DataError, match=message):
        fitted.check_same(renamed)
    with pytest.raises(DataError, match=message):
        fitted.transform(renamed)
    fitted.check_same(frame().assign(more=1))


def test_two_features_of_one_column_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"features of items name 'price' twice"):
        FittedFeatures.fit([*SPECS, Categorical("price")], frame(), what="items")


def test_a_bare_column_name_is_not_a_feature() -> None:
    with pytest.raises(ConfigError, match=r"hold 'kind', which is not a feature.*Categorical\('kind'\)"):
        FittedFeatures.fit(["kind"], frame(), what="items")  # type: ignore[list-item]
