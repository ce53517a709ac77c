"""`recattn publish`: the shards of a job put together."""

from __future__ import annotations

from recattn.cli.console import log
from recattn.cli.log_lines import LogFormat, spoken
from recattn.jobs.job import NO_LIMIT
from recattn.jobs.limits import FailIf


def run(out: str, fail_if: FailIf = NO_LIMIT, log_format: LogFormat = "text") -> None:
    """Check that all shards of a job are whole and of one plan, and make one result of them.

    recattn publish --out scores

    Args:
        out: The folder that `recattn score --shard i/n` or `recattn recommend --shard i/n` wrote to.
        fail_if: Limits for the whole; where one is passed nothing is published, and the status is 1.
        log_format: `json` writes all news as JSON, one object a line.
    """
    from recattn.jobs import publish
    from recattn.jobs.storage import shown

    with spoken(log_format):
        result = publish(out, fail_if=fail_if)
        log.info("%s rows in %s parts of all shards in %s", f"{result.rows:,}", f"{result.parts:,}", shown(out))
