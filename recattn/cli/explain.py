"""`recattn explain`: the past interactions behind a score."""

from __future__ import annotations

from recattn.cli.console import working
from recattn.cli.data import read_given
from recattn.cli.files import check_file, deliver
from recattn.cli.serving import open_all, open_slate
from recattn.cli.settings import Columns
from recattn.schema import check_k
from recattn.schema.times import Unit

COLUMNS = Columns()


def run(
    model: str,
    slate: str,
    history: str,
    top: int = 3,
    out: str | None = None,
    users: str | None = None,
    as_of: str | int | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    tracking_uri: str | None = None,
    overwrite: bool = False,
) -> None:
    """Show what moved each score: the change when a past interaction is masked, largest first.

    recattn explain --model model --slate candidates.csv --history log.parquet

    One row an interaction: `row` (place in the slate), user_id, item_id, score, rank, history_item_id,
    history_timestamp, history_position, `change` (positive where the interaction raised the score).

    Args:
        model: Model folder, or a model in MLflow: `models:/name@alias`, `runs:/id/model`.
        slate: File with user_id, item_id and, where known, request_id, timestamp and context columns.
        history: Interactions: a file, or a store of `recattn prepare`.
        top: Interactions a candidate.
        out: File for the result, .csv or .parquet; without it, stdout.
        users: File with the attributes of users, for models that use them.
        as_of: The moment of rows that name none, a date or seconds; just after the end of the history by default.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        tracking_uri: The MLflow of a model there.
        overwrite: Whether to replace the file.
    """
    check_k(top)
    place = check_file(out, overwrite=overwrite)
    recommender, log = open_all(model, history, columns, unit, tracking_uri=tracking_uri)
    frame = open_slate(slate, recommender, columns, unit)
    attributes = read_given(users, "users", columns)
    with working(f"explaining {len(frame):,} scores"):
        changes = recommender.explain(frame, history=log, users=attributes, top=top, as_of=as_of)
    deliver(changes, place, "explanations")
