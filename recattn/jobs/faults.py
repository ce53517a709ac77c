"""Points at which a job can be made to die, for tests of what a kill leaves behind."""

from __future__ import annotations

import functools
import os

from recattn.errors import ConfigError, nearest

VARIABLE = "RECATTN_FAULT"
POINTS = (
    "within_part_write",
    "after_part_write",
    "before_manifest",
    "after_manifest",
    "after_bucket",
    "before_success",
)
STATUS = 70  # of a process that died here


@functools.cache
def planned() -> tuple[str, int] | None:
    """The point and number that `RECATTN_FAULT=after_part_write:3` names; None without it. Read once a process."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    point, _, number = text.partition(":")
    if point not in POINTS or not (number or "0").isdigit():
        raise ConfigError(
            f"{VARIABLE} must be a point and a number, such as after_part_write:3; points are {', '.join(POINTS)}; "
            f"got {text!r}.{nearest(point, POINTS)}"
        )
    return point, int(number or 0)


def due(point: str, number: int = 0) -> bool:
    """Whether the process is to die at this point."""
    return planned() == (point, number)


def reach(point: str, number: int = 0) -> None:
    """End the process here and now, without any cleaning up, where that is planned."""
    if due(point, number):
        os._exit(STATUS)
