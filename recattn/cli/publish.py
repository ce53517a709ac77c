"""`recattn publish`: the shards of a job put together."""

from __future__ import annotations

from recattn.cli.console import log


def run(out: str) -> None:
    """Check that all shards of a job are whole and of one plan, and make one result of them.

    recattn publish --out scores

    Args:
        out: The folder that `recattn score --shard i/n` or `recattn recommend --shard i/n` wrote to.
    """
    from recattn.jobs import publish

    result = publish(out)
    log.info("%s rows in %s parts of all shards in %s", f"{result.rows:,}", f"{result.parts:,}", out.partition("?")[0])
