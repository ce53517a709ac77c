"""Tests of id columns."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd
import pytest

from recattn.errors import DataError
from recattn.schema import check_ids, check_same_kind


def test_nulls_are_counted_with_their_first_rows() -> None:
    with pytest.raises(DataError, match=r"slate has 1 of 3 rows.*1 with a null user_id \(row 1\)\. Fix or drop"):
        check_ids(pd.Series(["a", None, "b"]), "user_id", "slate")


def test_numpy_and_python_integers_are_one_kind() -> None:
    ids = check_ids(pd.Series([1, np.int64(2), np.int8(3)], dtype=object), "user_id", "slate")
    assert ids.dtype == np.int64


@pytest.mark.parametrize("values", [[1, True], [1, 2.5], ["a", b"a"], [1, uuid.UUID(int=1)], ["a", ("a",)]])
def test_different_kinds_do_not_mix(values: list[object]) -> None:
    with pytest.raises(DataError, match=r"column 'user_id' mixes .* and "):
        check_ids(pd.Series(values, dtype=object), "user_id", "slate")


def test_mixed_kinds_inside_a_category_are_found() -> None:
    with pytest.raises(DataError, match="mixes"):
        check_ids(pd.Series(["a", 1, "a"], dtype=object).astype("category"), "user_id", "slate")


def test_tuples_that_hold_lists_are_no_ids() -> None:
    with pytest.raises(DataError, match="holds tuple values, which cannot be ids"):
        check_ids(pd.Series([(1, [2]), (3, [4])]), "user_id", "slate")


def test_ids_that_can_never_meet_are_told() -> None:
    numbers, texts = pd.Series([1, 2]), pd.Series(["1", "2"])
    with pytest.raises(DataError, match=r"item_id is int in log \(such as 1\) but str in items \(such as '1'\)"):
        check_same_kind(numbers, "log", texts, "items", "item_id")
    check_same_kind(numbers, "log", pd.Series([1.0]), "items", "item_id")
    check_same_kind(texts, "log", texts.astype(object), "items", "item_id")
    check_same_kind(numbers, "log", texts.iloc[:0], "items", "item_id")


def test_numbers_beyond_64_bits_with_a_sign_are_refused_rather_than_wrapped() -> None:
    largest = pd.Series([1, 2**63 - 1], dtype="uint64")
    assert check_ids(largest, "user_id", "slate").tolist() == [1, 2**63 - 1]
    for kind in ("uint64", "UInt64", object):
        with pytest.raises(DataError, match=r"slate: column 'user_id' has whole numbers from 2\*\*63 on \(row 1: 92"):
            check_ids(pd.Series([1, 2**63], dtype=kind), "user_id", "slate")
