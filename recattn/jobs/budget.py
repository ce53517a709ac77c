"""How much a job holds in memory at a time: a pure function of its budget."""

from __future__ import annotations

from recattn.dataset import memory
from recattn.errors import ConfigError

UNITS = memory.UNITS | {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
LEAST = 512 * 10**6
FIXED = 400 * 10**6  # the scorer's own batches, with what torch and the readers hold beside them
ALIVE = 4  # parts at a time: one being read, one scored, one written, one in between
ROW_BYTES = 400  # of a slate row in all its forms: Arrow, pandas, codes, scores, Parquet
USER_BYTES, LINE_BYTES = 300, 150  # of a request for the catalog, and of each of its k lines
MOST_ROWS, MOST_USERS = 1_000_000, 50_000
FEWEST = 1_000


def parse_bytes(amount: str | int) -> int:
    """Bytes of `2GB`, `1.5 GiB`, `800m` or a whole number; ConfigError for anything else."""
    return memory.parse_bytes(amount, UNITS)


def told(amount: float) -> str:
    """Bytes as text: `2.5 GB`, `340.0 MB`."""
    return f"{amount / 10**9:.1f} GB" if amount >= 10**9 else f"{amount / 10**6:.1f} MB"


def rows_a_part(budget: int, k: int | None) -> int:
    """Rows of a slate (`k` None) or users (with k items each) in a part that a job with this budget works on.

    Raises:
        ConfigError: The budget is less than a job needs at all.
    """
    if budget < LEAST:
        raise ConfigError(
            f"memory_budget must be at least {LEAST // 10**6} MB, the scorer and its libraries need that, "
            f"got {budget / 10**6:,.0f} MB."
        )
    each, most = (ROW_BYTES, MOST_ROWS) if k is None else (USER_BYTES + LINE_BYTES * k, MOST_USERS)
    return max(FEWEST, min(most, (budget - FIXED) // (ALIVE * each)))
