"""The news of a batch job for programs: one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from recattn.cli.console import log
from recattn.errors import ConfigError, RecattnError

LogFormat = Literal["text", "json"]
EVENTS = "recattn.jobs.events"  # what a job says of each of its parts


@contextlib.contextmanager
def spoken(form: LogFormat) -> Iterator[None]:
    """With `json`, all that is logged inside the block goes to stderr as lines of JSON, an error too.

    Each has `time` (UTC), `level`, `event` and `message`, and what belongs to the event: `start`, `progress` (done,
    total, rate, eta), `part` (part, rows, bytes, done, total, rate, eta), `finished`, `failed`, `message`. `rate` is
    rows (requests, for the catalog) a second, `eta` seconds.

    Raises:
        SystemExit: With the status of the command, in place of an error that has been told.
    """
    if form == "text":
        yield
        return
    events, before = logging.getLogger(EVENTS), log.handlers[:]
    log.handlers[:] = [_Lines()]
    events.setLevel(logging.DEBUG)
    try:
        yield
    except KeyboardInterrupt:
        log.error("interrupted", extra={"fields": {"event": "failed", "error": "KeyboardInterrupt"}})
        raise SystemExit(130) from None
    except (RecattnError, OSError) as error:
        log.error("%s", error, extra={"fields": {"event": "failed", "error": type(error).__name__}})
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from error
    finally:
        log.handlers[:] = before
        events.setLevel(logging.NOTSET)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), "event": "message", "message": record.getMessage()}
        print(json.dumps(line | getattr(record, "fields", {}), default=str), file=sys.stderr, flush=True)
