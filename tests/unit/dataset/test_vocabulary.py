"""Tests of the map between ids and codes."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError, DataError

KINDS: dict[str, list[Any]] = {
    "int": [30, 10, -2],
    "str": ["b", "a", "ä ö"],
    "float": [0.5, 2.0, -1.0],
    "bool": [True, False],
    "bytes": [b"b", b"a"],
    "date": [datetime.date(2024, 1, 2), datetime.date(2023, 1, 2)],
    "datetime": [pd.Timestamp("2024-01-02"), pd.Timestamp("2023-05-02 10:00")],
    "tuple": [(1, "a"), (1, "b"), (2, "a")],
}


def test_codes_count_from_one_in_the_order_given_and_minus_one_is_unknown() -> None:
    vocabulary = Vocabulary("item_id", ["c", "a", "b"])
    codes = vocabulary.encode(["a", "b", "c", "z", "a"])
    assert codes.tolist() == [2, 3, 1, -1, 2]
    assert codes.dtype == np.int32
    assert len(vocabulary) == 3
    assert vocabulary.ids.tolist() == ["c", "a", "b"]


def test_padding_and_unknown_decode_to_none() -> None:
    vocabulary = Vocabulary("item_id", [7, 8])
    assert vocabulary.decode([2, 0, -1, 1]).tolist() == [8, None, None, 7]
    assert vocabulary.decode([1, 2]).tolist() == [7, 8]
    assert vocabulary.decode([]).tolist() == []


def test_a_code_beyond_the_vocabulary_is_an_error_not_another_id() -> None:
    with pytest.raises(DataError, match="code 3 is beyond the 2 ids of item_id"):
        Vocabulary("item_id", [7, 8]).decode([1, 3])


def test_nulls_are_unknown() -> None:
    assert Vocabulary("x", ["a", "b"]).encode(["b", None, np.nan]).tolist() == [2, -1, -1]
    assert Vocabulary("x", [1, 2]).encode(pd.Series([2, None], dtype="Int64")).tolist() == [2, -1]


def test_repeated_ids_are_named() -> None:
    with pytest.raises(DataError, match=r"item_id has repeated ids: .*b"):
        Vocabulary("item_id", ["a", "b", "b"])


def test_from_values_keeps_the_order_of_first_appearance_over_all_columns_without_nulls() -> None:
    vocabulary = Vocabulary.from_values("x", ["b", None, "a", "b"], pd.Series([], dtype=object), ["c", "a"])
    assert vocabulary.ids.tolist() == ["b", "a", "c"]


def test_a_vocabulary_may_be_empty() -> None:
    for vocabulary in (Vocabulary("x", []), Vocabulary.from_values("x"), Vocabulary.from_values("x", [None])):
        assert len(vocabulary) == 0
        assert vocabulary.encode(["a"]).tolist() == [-1]
        assert vocabulary.encode([]).tolist() == []
        assert vocabulary.decode([0, -1]).tolist() == [None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_any_hashable_kind_decode_to_themselves(kind: str) -> None:
    ids = KINDS[kind]
    vocabulary = Vocabulary("x", ids)
    assert vocabulary.encode(ids[::-1]).tolist() == list(range(len(ids), 0, -1))
    assert list(vocabulary.decode(vocabulary.encode(ids))) == ids
    assert ids[0] in vocabulary


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["b", "a"], dtype=object),
        pd.Series(["b", "a"], dtype="string"),
        pd.Series(["b", "a"], dtype="string[pyarrow]"),
        pd.Series(["b", "a"], dtype=pd.CategoricalDtype(["a", "b", "unused"])),
        np.array(["b", "a"]),
        pd.Index(["b", "a"]),
    ],
)
def test_text_has_the_same_codes_and_digest_whatever_holds_it(column: Any) -> None:
    vocabulary = Vocabulary("x", column)
    assert vocabulary == Vocabulary("x", ["b", "a"])
    assert vocabulary.digest == Vocabulary("x", ["b", "a"]).digest
    assert Vocabulary("x", ["a", "b"]).encode(column).tolist() == [2, 1]


@pytest.mark.parametrize("dtype", ["int8", "uint32", "int64", "Int64", "category"])
def test_integers_have_the_same_codes_whatever_their_width(dtype: str) -> None:
    column = pd.Series([3, 1]).astype(dtype)
    assert Vocabulary("x", column) == Vocabulary("x", [3, 1])
    assert Vocabulary("x", [1, 3]).encode(column).tolist() == [2, 1]


def test_the_digest_tells_order_and_type_apart() -> None:
    digests = {Vocabulary("x", ids).digest for ids in ([1, 2], [2, 1], ["1", "2"], [1.0, 2.0], [1])}
    assert len(digests) == 5


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"tuple"}))
def test_a_saved_vocabulary_is_the_same_when_loaded(kind: str, tmp_path: Path) -> None:
    vocabulary = Vocabulary("thing", KINDS[kind])
    vocabulary.save(tmp_path / "ids.parquet")
    loaded = Vocabulary.load(tmp_path / "ids.parquet")
    assert loaded == vocabulary
    assert loaded.name == "thing"
    assert loaded.digest == vocabulary.digest
    assert list(loaded.decode(loaded.encode(KINDS[kind]))) == KINDS[kind]


def test_an_empty_vocabulary_can_be_saved(tmp_path: Path) -> None:
    Vocabulary("x", []).save(tmp_path / "ids.parquet")
    assert len(Vocabulary.load(tmp_path / "ids.parquet")) == 0


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([object()], "object"),
        ([(1, 2), (3, 4)], "tuple"),
        ([(1, "a")], "tuple"),
        ([2**70], "int"),
        ([uuid.UUID(int=1)], "UUID"),  # Parquet would give bytes back
    ],
)
def test_ids_that_a_file_cannot_hold_are_refused_by_kind(ids: list[Any], kind: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"ids of x are of type {kind}, which cannot be saved. Convert them to str"):
        Vocabulary("x", ids).save(tmp_path / "ids.parquet")


def test_the_ids_given_are_not_changed() -> None:
    ids = np.array([3, 1])
    vocabulary = Vocabulary("x", ids)
    vocabulary.encode(ids)
    assert ids.tolist() == [3, 1]
    assert repr(vocabulary) == "Vocabulary('x', 2 ids)"
