"""When the truth happened."""

from __future__ import annotations

import warnings

import pandas as pd

from recattn.errors import DataError
from recattn.schema import DataWarning, read_times
from recattn.schema.columns import TIME


def truth_times(truth: pd.DataFrame) -> dict[str, str]:
    """`truth_from` and `truth_until`, ISO 8601 in UTC: the first and last `timestamp` of the truth judged.

    Empty where it has none; where its times cannot be read, with a warning, for nothing is judged by them.
    """
    if TIME not in truth.columns or truth[TIME].isna().all():
        return {}
    times = truth[TIME].dropna()
    try:
        seconds, faults = read_times(times, what="truth")
        faults = [fault for fault in faults if fault.mask.any()]
        if faults:
            raise DataError(f"truth has {faults[0].describe()}.")
    except DataError as error:
        warnings.warn(f"The times of the truth are not noted. {error}", DataWarning, stacklevel=3)
        return {}
    ends = pd.to_datetime([seconds.min(), seconds.max()], unit="s")
    return {name: f"{end.isoformat()}Z" for name, end in zip(("truth_from", "truth_until"), ends, strict=True)}
