"""Spans of time as a user writes them."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from recattn.errors import ConfigError

Duration = str | datetime.timedelta | np.timedelta64


def seconds(value: Duration, name: str) -> float:
    """A span such as `"7D"`, `"36h"` or a timedelta, in seconds.

    Raises ConfigError for what is no span, is not positive, or is a bare number (of what?).
    """
    bare = isinstance(value, str) and value.strip().isdigit()
    try:
        span = pd.Timedelta(value).total_seconds() if isinstance(value, Duration) and not bare else 0.0
    except ValueError:
        span = 0.0
    if not span > 0:
        raise ConfigError(f"{name} must be a span of time with its unit, such as '7D' or '36h', got {value!r}.")
    return span
