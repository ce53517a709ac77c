from __future__ import annotations

import pytest

from recattn.errors import ConfigError
from recattn.jobs.budget import MOST_ROWS, MOST_USERS, parse_bytes, rows_a_part, told


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("800mb", 8 * 10**8), (700, 700), ("1k", 1000)]
)
def test_amounts_of_memory_are_read(text, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["lots", "-1GB", "2 GBit", "", True])
def test_what_is_no_amount_is_told(text) -> None:
    with pytest.raises(ConfigError, match="memory_budget must be an amount of memory"):
        parse_bytes(text)


def test_more_memory_gives_longer_parts_up_to_a_limit() -> None:
    assert rows_a_part(10**9, None) == 375_000
    assert rows_a_part(10**12, None) == MOST_ROWS
    assert rows_a_part(10**12, 10) == MOST_USERS
    assert rows_a_part(10**9, 1_000) < rows_a_part(10**9, 10)
    with pytest.raises(ConfigError, match="must be at least 512 MB"):
        rows_a_part(10**8, None)


def test_amounts_are_told_in_the_unit_of_their_size() -> None:
    assert [told(amount) for amount in (2_500_000, 2_500_000_000)] == ["2.5 MB", "2.5 GB"]
