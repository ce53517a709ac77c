"""Blocks of whole users out of a stream of rows that are sorted by user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recattn.errors import DataError
from recattn.schema.columns import USER


def whole_users(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """Tables of at least `rows` rows, the last one excepted; no user is in two of them.

    Held at a time: one block, one batch, and as many rows as the user at their border has.

    Args:
        batches: Arrow record batches with a column `user_id`, in which the rows of a user follow one another.
        rows: How many rows are worth a block.

    Raises:
        DataError: A row without a user.
    """
    held: list[Any] = []
    count = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        border = _border(batch, held[-1] if held else None)
        if border is not None and count + border >= rows:
            yield pa.Table.from_batches([*held, batch.slice(0, border)])
            held, count = [], 0
            batch = batch.slice(border)
        held.append(batch)
        count += batch.num_rows
    if held:
        yield pa.Table.from_batches(held)


def _border(batch: Any, before: Any | None) -> int | None:
    """Where the last user of `batch` begins; None where that is in a batch before it, or nothing lies before."""
    users = batch.column(USER)
    if users.null_count:
        raise DataError(f"the log or what is asked about has rows with a null {USER}. Fill them, or leave them out.")
    last = users[-1]
    border = batch.num_rows - pc.sum(pc.equal(users, last)).as_py()
    if border:
        return border
    return None if before is None or before.column(USER)[-1] == last else 0
