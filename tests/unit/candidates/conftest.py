"""A log small enough to count by hand."""

from __future__ import annotations

import pandas as pd
import pytest

DAY = 86_400
START = 1_700_000_000


@pytest.fixture(scope="session")
def diary() -> pd.DataFrame:
    """Three users; a is the hit of the first days, c of the last one."""
    rows = [
        ("u1", "a", 0),
        ("u2", "a", 0.5),
        ("u3", "a", 1),
        ("u1", "b", 2),
        ("u2", "b", 2.5),
        ("u3", "c", 8),
        ("u1", "c", 8.5),
        ("u2", "d", 9),
    ]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return log.assign(timestamp=(START + log["timestamp"] * DAY).astype("int64"))
