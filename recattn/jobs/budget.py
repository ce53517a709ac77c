"""How much a job holds in memory at a time: a pure function of its budget."""

from __future__ import annotations

import re

from recattn.errors import ConfigError

UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
UNITS |= {f"{unit}b": size for unit, size in list(UNITS.items()) if unit not in ("", "b")}
UNITS |= {f"{unit}ib": 2**power for unit, power in (("k", 10), ("m", 20), ("g", 30), ("t", 40))}
LEAST = 512 * 10**6
FIXED = 400 * 10**6  # the scorer's own batches, with what torch and the readers hold beside them
ALIVE = 4  # parts at a time: one being read, one scored, one written, one in between
ROW_BYTES = 400  # of a slate row in all its forms: Arrow, pandas, codes, scores, Parquet
USER_BYTES, LINE_BYTES = 300, 150  # of a request for the catalog, and of each of its k lines
MOST_ROWS, MOST_USERS = 1_000_000, 50_000
FEWEST = 1_000


def parse_bytes(text: str | int, name: str = "memory_budget") -> int:
    """Bytes of `2GB`, `1.5 GiB`, `800MB` or a whole number; ConfigError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text).lower())
    if isinstance(text, bool) or not found or found[2] not in UNITS:
        raise ConfigError(f"{name} must be an amount of memory, such as '2GB' or '800MB', got {text!r}.")
    return int(float(found[1]) * UNITS[found[2]])


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
