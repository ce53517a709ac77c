"""`recattn runs`: the runs of MLflow, in the terminal."""

from __future__ import annotations

import json as json_format

from recattn.cli.console import log, say, show_table
from recattn.schema import check_k


def run(
    experiment: str | None = None,
    sort: str | None = None,
    n: int = 20,
    tracking_uri: str | None = None,
    json: bool = False,
    send: str | None = None,
) -> None:
    """List the latest runs, or the best by a metric.

    recattn runs books --sort ndcg_at_10 --n 5
    recattn runs --send recattn-unsent/RUN

    Args:
        experiment: Runs of this experiment; of all by default.
        sort: A metric (test/ndcg_at_10, or ndcg_at_10); of losses and costs the least come first.
        n: Runs at most.
        tracking_uri: The MLflow to read; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db right here.
        json: Whether to write JSON, with all metrics, in place of a table.
        send: Send what a run could not send while its MLflow was away, from this folder.
    """
    check_k(n, name="n")
    from recattn.tracking import listing, unsent
    from recattn.tracking.quiet import quiet
    from recattn.tracking.server import connect

    with quiet("mlflow", "alembic"):
        if send is not None:
            say(f"sent to run {unsent.send(send, tracking_uri)}")
            return
        found = listing.find(connect(tracking_uri), experiment, sort, n)
    if json:
        say(json_format.dumps(listing.plain(found), indent=1))
    elif found:
        shown = listing.table(found, sort).dropna(axis=1, how="all")
        show_table(shown, best=tuple(shown.filter(regex="^test/").columns))
    else:
        log.info("there are no runs yet")
