"""Tests of blocks of whole users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recattn.errors import DataError
from recattn.jobs.spark_blocks import whole_users


def batches_of(users: list[Any], size: int) -> list[pa.RecordBatch]:
    table = pa.table({"user_id": users, "row": np.arange(len(users))})
    return table.to_batches(max_chunksize=size)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("rows", [1, 4, 1_000])
def test_no_user_is_cut_and_no_row_is_lost_wherever_the_batches_end(size: int, rows: int) -> None:
    lengths = [1, 9, 2, 2, 1, 1, 30, 3]
    users = [f"u{user}" for user, length in enumerate(lengths) for _ in range(length)]
    blocks = list(whole_users(batches_of(users, size), rows))
    assert [row for block in blocks for row in block["row"].to_pylist()] == list(range(len(users)))
    owners = [set(block["user_id"].to_pylist()) for block in blocks]
    assert sum(map(len, owners)) == len(lengths)
    assert all(len(block) >= rows for block in blocks[:-1])


def test_blocks_are_no_larger_than_they_need_be() -> None:
    users = [user for user in range(50) for _ in range(2)]
    assert [len(block) for block in whole_users(batches_of(users, 10), 20)] == [28, 20, 20, 20, 12]


def test_a_user_as_long_as_many_batches_is_one_block() -> None:
    users = [0, *[1] * 95, 2]
    assert [len(block) for block in whole_users(batches_of(users, 10), 5)] == [96, 1]


def test_empty_batches_are_passed_over() -> None:
    empty = batches_of(["x"], 1)[0].slice(0, 0)
    assert list(whole_users([], 10)) == []
    assert list(whole_users([empty], 10)) == []
    [block] = whole_users([empty, *batches_of(["a", "a", "b"], 2), empty], 10)
    assert block["user_id"].to_pylist() == ["a", "a", "b"]


@pytest.mark.parametrize("size", [1, 10])
def test_a_row_without_a_user_is_refused(size: int) -> None:
    with pytest.raises(DataError, match="null user_id"):
        list(whole_users(batches_of([None, "a", "b"], size), 10))
