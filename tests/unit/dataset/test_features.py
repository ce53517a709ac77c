"""Tests of the encoding of feature columns."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, Multi, Numeric
from recattn.dataset.features import FeatureArrays, FittedFeatures
from recattn.errors import ArtifactError, ConfigError, DataError

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


def fit_one(spec: Categorical | Multi | Numeric, values: object, **options: object) -> FittedFeatures:
    return FittedFeatures.fit([spec], pd.DataFrame({"x": values}), what="items", **options)  # type: ignore[arg-type]


def codes(fitted: FittedFeatures, values: object) -> list[int]:
    return fitted.transform(pd.DataFrame({"x": values})).categorical[:, 0].tolist()


def parts(fitted: FittedFeatures, values: object) -> list[list[int]]:
    values, offsets = fitted.transform(pd.DataFrame({"x": values})).multi[0]
    return [row.tolist() for row in np.split(values, offsets[1:-1])]


def numbers(fitted: FittedFeatures, values: object) -> np.ndarray:
    return fitted.transform(pd.DataFrame({"x": values})).numeric


def same(left: FeatureArrays, right: FeatureArrays) -> bool:
    first, second = left.to_arrays(), right.to_arrays()
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name])
        for name in first
    )


def test_arrays_have_the_shapes_and_types_of_the_contract() -> None:
    arrays = FittedFeatures.fit(SPECS, frame(), what="items").transform(frame())
    assert (arrays.categorical.shape, arrays.categorical.dtype) == ((4, 1), np.int32)
    assert (arrays.numeric.shape, arrays.numeric.dtype) == ((4, 4), np.float32)
    [(values, offsets)] = arrays.multi
    assert (values.dtype, offsets.dtype, offsets.tolist()) == (np.int32, np.int64, [0, 2, 2, 2, 3])
    assert len(arrays) == 4


def test_codes_are_0_for_missing_1_for_unseen_and_2_on_for_known_values_in_sorted_order() -> None:
    fitted = fit_one(Categorical("x"), ["b", None, "a", "b"])
    assert codes(fitted, ["a", "b", "c", None, np.nan, pd.NA]) == [2, 3, 1, 0, 0, 0]
    assert fitted.cardinalities == ((4,), ())


def test_a_whole_float_has_the_code_of_the_int_it_equals() -> None:
    fitted = fit_one(Categorical("x"), [3, 4])
    assert codes(fitted, [3.0, np.nan, 4.0, 3.5]) == [2, 0, 3, 1]
    assert codes(fit_one(Categorical("x"), [3.0, np.nan]), np.array([3], dtype=np.int8)) == [2]
    assert codes(fitted, pd.array([4, None], dtype="Int64")) == [3, 0]


def test_booleans_and_category_columns_are_values_too() -> None:
    assert codes(fit_one(Categorical("x"), [True, False]), [True, None, False]) == [3, 0, 2]
    fitted = fit_one(Categorical("x"), pd.Categorical(["a", "b"], categories=["b", "a", "unused"]))
    assert fitted.features[0].values == ("a", "b")


def test_numbers_come_before_text_in_a_column_that_has_both() -> None:
    assert fit_one(Categorical("x"), ["a", 2, "1", 1]).features[0].values == (1, 2, "1", "a")


def test_values_are_learned_in_the_same_order_whatever_the_order_of_the_rows() -> None:
    rows = frame()
    assert FittedFeatures.fit(SPECS[1:3], rows, what="items") == FittedFeatures.fit(
        SPECS[1:3], rows[::-1], what="items"
    )


def test_text_is_cut_at_the_separator_stripped_and_rid_of_empty_parts() -> None:
    fitted = fit_one(Multi("x", separator=","), ["a, b", " ,b,,", None])
    assert fitted.features[0].values == ("a", "b")
    assert parts(fitted, ["b,a", "", " , ", "a,c", None, np.nan]) == [[3, 2], [], [], [2, 1], [], []]
    assert fitted.cardinalities == ((), (4,))


@pytest.mark.parametrize("kind", [list, tuple, np.array, set])
def test_lists_give_what_their_text_gives(kind: type) -> None:
    fitted = fit_one(Multi("x"), ["a|b", "c"])
    cells = pd.Series([kind(["a", "b"]), None, kind(["c"]), kind([])], dtype=object)
    assert parts(fitted, cells) == [[2, 3], [], [4], []]
    assert fit_one(Multi("x"), cells) == fitted


def test_lists_hold_numbers_missing_parts_and_unseen_ones() -> None:
    fitted = fit_one(Multi("x"), [[2, 1], [1.0, None, np.nan]])
    assert fitted.features[0].values == (1, 2)
    assert parts(fitted, [[2.0, 9, pd.NA, 1], [], np.array([1, 1])]) == [[3, 1, 2], [], [2, 2]]
    assert parts(fitted, [2, 1.0]) == [[3], [2]]


def test_numbers_are_centred_and_scaled_by_the_population_and_missing_ones_are_flagged() -> None:
    fitted = fit_one(Numeric("x"), [1.0, 3.0, np.nan])
    assert (fitted.features[0].mean, fitted.features[0].std) == (2.0, 1.0)
    assert numbers(fitted, [1.0, np.nan, 6.0]).tolist() == [[-1, 0], [0, 1], [4, 0]]


def test_logarithm_keeps_the_sign_and_comes_before_the_statistics() -> None:
    raw = fit_one(Numeric("x", log=True, standardize=False), [1.0])
    np.testing.assert_allclose(numbers(raw, [-3.0, 0.0, 3.0])[:, 0], [-np.log(4), 0, np.log(4)], rtol=1e-6)
    fitted = fit_one(Numeric("x", log=True), [0.0, np.e - 1])
    assert (fitted.features[0].mean, fitted.features[0].std) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("value", [0.1, 7, -1e-9])
def test_a_constant_number_becomes_zero_with_deviation_one(value: float) -> None:
    fitted = fit_one(Numeric("x"), [value] * 10)
    assert fitted.features[0].std == 1.0
    assert numbers(fitted, [value, value + 2]).tolist() == [[0, 0], [2, 0]]


def test_numeric_scaling_agrees_with_scikit_learn() -> None:
    from sklearn.preprocessing import StandardScaler

    values = np.random.default_rng(0).normal(5, 3, 100)
    ours = numbers(fit_one(Numeric("x"), values[:60]), values)[:, 0]
    theirs = StandardScaler().fit(values[:60, None]).transform(values[:, None])[:, 0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_numbers_of_any_pandas_kind_are_read() -> None:
    fitted = fit_one(Numeric("x", standardize=False), [0.0])
    for values in (pd.array([2, None], dtype="Int64"), pd.Series(["2", None]), pd.Categorical([2, None])):
        assert numbers(fitted, values).tolist() == [[2, 0], [0, 1]]
    assert numbers(fitted, [True, False]).tolist() == [[1, 0], [0, 0]]


def test_statistics_come_from_train_rows_only() -> None:
    rows = frame()
    train = np.array([True, False, False, False])
    fitted = FittedFeatures.fit(SPECS, rows, what="items", rows=train)
    assert fitted == FittedFeatures.fit(SPECS, rows[:1], what="items")
    assert fitted.transform(rows).categorical[:, 0].tolist() == [2, 0, 1, 2]
    other = rows.assign(kind="x", tags="y|z", price=9.0, size=9)
    changed = pd.concat([rows[train], other[~train]])
    assert FittedFeatures.fit(SPECS, changed, what="items", rows=train) == fitted


def test_a_column_in_which_all_is_missing_is_fitted() -> None:
    empty = pd.DataFrame({name: [None, None] for name in ("price", "kind", "tags", "size")})
    fitted = FittedFeatures.fit(SPECS, empty, what="items")
    assert fitted.cardinalities == ((2,), (2,))
    assert same(fitted.transform(empty), fitted.missing(2))
    assert fitted.transform(frame()).categorical[:, 0].tolist() == [1, 0, 1, 1]


def test_an_empty_frame_gives_empty_arrays() -> None:
    fitted = FittedFeatures.fit(SPECS, frame(), what="items")
    assert same(fitted.transform(frame()[:0]), fitted.missing(0))
    nothing = FittedFeatures.fit(SPECS, frame()[:0], what="items")
    assert nothing.cardinalities == ((2,), (2,))


def test_no_specs_give_arrays_without_columns() -> None:
    fitted = FittedFeatures.fit((), frame(), what="items")
    arrays = fitted.transform(frame())
    assert (len(arrays), arrays.multi, arrays.numeric.shape, fitted.num_numeric) == (4, (), (4, 0), 0)
    assert len(arrays.take([0, -1, 3])) == 3


def test_take_gathers_rows_with_repeats_and_gives_missing_for_row_minus_1() -> None:
    fitted = FittedFeatures.fit(SPECS, frame(), what="items")
    rows = [3, -1, 0, 0, 2]
    nothing = pd.DataFrame({name: [None] for name in frame().columns})
    expected = fitted.transform(pd.concat([frame(), nothing], ignore_index=True).iloc[rows])
    assert same(fitted.transform(frame()).take(rows), expected)
    assert len(fitted.transform(frame()).take(np.array([], dtype=int))) == 0


def test_take_from_nothing_gives_missing_rows() -> None:
    fitted = FittedFeatures.fit(SPECS, frame(), what="items")
    missing = fitted.missing(0).take([-1, -1])
    assert same(missing, fitted.transform(frame()).missing(2))
    assert missing.numeric.tolist() == [[0, 1, 0, 1]] * 2


def test_the_frame_of_the_caller_is_not_changed() -> None:
    rows, before = frame(), frame()
    FittedFeatures.fit(SPECS, rows, what="items", rows=[True, False, True, True]).transform(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_the_index_of_the_frame_plays_no_part() -> None:
    fitted = FittedFeatures.fit(SPECS, frame(), what="items")
    assert same(fitted.transform(frame().set_axis([5, 5, 1, 0])), fitted.transform(frame()))


def test_saving_through_json_keeps_every_value_its_type_and_every_bit() -> None:
    specs = [
        Categorical("a"),
        Multi("b", separator=";"),
        Numeric("c", log=True),
        Numeric("d", standardize=False),
    ]
    rows = pd.DataFrame({"a": ["1", 1, 2.5, True][:3], "b": ["x;y", None, "z"], "c": [0.1, 0.2, 0.7], "d": 1})
    fitted = FittedFeatures.fit(specs, rows, what="users")
    again = FittedFeatures.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted
    assert [type(value) for value in again.features[0].values] == [int, float, str]
    assert same(again.transform(rows), fitted.transform(rows))
    truths = fit_one(Categorical("x"), [True, None])
    assert FittedFeatures.from_dict(json.loads(json.dumps(truths.to_dict()))).features[0].values[0] is True


def test_arrays_round_trip_by_name_exactly() -> None:
    arrays = FittedFeatures.fit(
        [*SPECS, Multi("kind2")], frame().assign(kind2="a|b"), what="items"
    ).transform(frame().assign(kind2="b"))
    assert same(FeatureArrays.from_arrays(arrays.to_arrays()), arrays)


def test_a_saved_feature_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"kind 'image'; this version knows 'categorical'"):
        FittedFeatures.from_dict({"what": "items", "features": [{"kind": "image", "column": "x"}]})


def test_text_in_a_numeric_feature_is_counted_and_shown() -> None:
    message = (
        r"feature 'x' of items has text where numbers belong: 2 of 4 .*'n/a', 'free'.*Categorical\('x'\)"
    )
    with pytest.raises(DataError, match=message):
        fit_one(Numeric("x"), [1, "n/a", None, "free"])
    with pytest.raises(DataError, match=message):
        fit_one(Numeric("x"), [1.0]).transform(pd.DataFrame({"x": [1, "n/a", None, "free"]}))


def test_dates_and_infinities_are_no_numbers() -> None:
    with pytest.raises(DataError, match=r"'x' of items has dates or durations \(datetime64"):
        fit_one(Numeric("x"), pd.to_datetime(["2024-01-01"]))
    with pytest.raises(
        DataError, match=r"2 of 3 values that are infinite or beyond float32 \(first: inf, 1e\+39"
    ):
        fit_one(Numeric("x"), [np.inf, 1e39, 1.0])


def test_values_that_cannot_be_saved_are_refused() -> None:
    with pytest.raises(DataError, match=r"'x' of items holds Timestamp values .*text, numbers or booleans"):
        fit_one(Categorical("x"), pd.to_datetime(["2024-01-01"]))
    with pytest.raises(DataError, match=r"holds dict values"):
        fit_one(Multi("x"), [{"a": 1}])
    with pytest.raises(DataError, match=r"has lists, and is declared Categorical. Declare it Multi\('x'\)"):
        fit_one(Categorical("x"), [["a"], ["b"]])


def test_a_misspelt_column_names_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"items has no column 'knd' for the feature Cat.*Did you mean 'kind'"
    ):
        FittedFeatures.fit([Categorical("knd")], frame(), what="items")


def test_features_that_differ_from_the_models_are_named_with_the_nearest() -> None:
    fitted = FittedFeatures.fit(SPECS, frame(), what="items")
    renamed = frame().rename(columns={"price": "prices"})
    message = r"items has features that differ from the model's: no column 'price'.*Did you mean 'prices'\?"
    with pytest.raises(DataError, match=message):
        fitted.check_same(renamed)
    with pytest.raises(DataError, match=message):
        fitted.transform(renamed)
    fitted.check_same(frame().assign(more=1))


def test_numbers_where_the_model_learned_text_are_refused_instead_of_all_unseen() -> None:
    with pytest.raises(DataError, match=r"holds numbers \(like 1\) but held text \(like '1'\) .*differ from"):
        fit_one(Categorical("x"), ["1", "2"]).transform(pd.DataFrame({"x": [1, 2]}))
    with pytest.raises(DataError, match=r"holds text \(like 'a'\) but held numbers"):
        fit_one(Multi("x"), [[1, 2]]).transform(pd.DataFrame({"x": ["a|b"]}))


def test_two_features_of_one_column_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"features of items name 'price' twice"):
        FittedFeatures.fit([*SPECS, Categorical("price")], frame(), what="items")


def test_a_bare_column_name_is_not_a_feature() -> None:
    with pytest.raises(ConfigError, match=r"hold 'kind', which is not a feature.*Categorical\('kind'\)"):
        FittedFeatures.fit(["kind"], frame(), what="items")  # type: ignore[list-item]
