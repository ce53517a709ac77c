"""Spans of time as users write them."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from recattn.baselines.duration import seconds
from recattn.errors import ConfigError


@pytest.mark.parametrize(
    "value", ["7D", "168h", datetime.timedelta(days=7), pd.Timedelta("7 days"), np.timedelta64(7, "D")]
)
def test_spans_are_counted_in_seconds(value: str) -> None:
    assert seconds(value, "window") == 7 * 86_400


@pytest.mark.parametrize("value", [7, "7", "a week", "-7D", "0s", None, True])
def test_what_is_no_span_with_a_unit_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="window must be a span of time with its unit, such as '7D' or '36h', got"):
        seconds(value, "window")
