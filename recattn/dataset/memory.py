"""How much memory a step may take, from what a user says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from recattn.errors import ConfigError

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
LEAST = 64 * 10**6


def parse_bytes(amount: str | int, units: Mapping[str, int] = UNITS) -> int:
    """`"1GB"`, `"500 MB"`, `"2GiB"` or a number of bytes as bytes; ConfigError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(amount).lower())
    if isinstance(amount, bool) or not found or found[2] not in units:
        raise ConfigError(f"memory_budget must be an amount of memory, such as '2GB' or '800MB', got {amount!r}.")
    return int(float(found[1]) * units[found[2]])


def budget_bytes(budget: str | int) -> int:
    """As `parse_bytes`; ConfigError under 64 MB, too."""
    size = parse_bytes(budget)
    if size < LEAST:
        raise ConfigError(f"memory_budget must be at least 64 MB, got {budget!r}.")
    return size
