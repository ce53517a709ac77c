"""What a job says of its course to whoever listens: log records with fields."""

from __future__ import annotations

import logging
from typing import Any

_log = logging.getLogger("recattn.jobs.events")


def tell(event: str, message: str, **fields: Any) -> None:
    """A record of level DEBUG whose attribute `fields` holds the event and its values."""
    _log.debug("%s", message, extra={"fields": {"event": event, **fields}})


def pace(done: int, before: int, total: int, seconds: float) -> dict[str, float | None]:
    """`rate` a second since `before` were done, and the seconds that are left (`eta`)."""
    rate = (done - before) / seconds if seconds > 0 else 0.0
    return {"rate": round(rate, 1), "eta": round((total - done) / rate, 1) if rate else None}
