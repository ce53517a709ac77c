"""`recattn explain`: the past interactions behind a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recattn.cli.console import log as console
from recattn.cli.console import said_once, working
from recattn.cli.data import read_given
from recattn.cli.files import check_file, check_place, deliver
from recattn.cli.serving import open_all, open_slate
from recattn.cli.settings import Columns
from recattn.errors import ArtifactError, ConfigError
from recattn.schema import check_k
from recattn.schema.times import Unit

COLUMNS = Columns()


@said_once()
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
    html: str | None = None,
    titles: str | None = None,
    sample: int = 10,
) -> None:
    """Show what moved each score: the change when a past interaction is masked, largest first.

    recattn explain --model model --slate candidates.csv --history log.parquet

    One row an interaction: `row` (place in the slate), user_id, item_id, score, rank, history_item_id,
    history_timestamp, history_position, `change` (positive where the interaction raised the score).

    With --html a sample of the requests becomes one self-contained page instead: history, candidates, a heat map of
    the changes, reasons in words. --out beside it still writes all rows.

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
        overwrite: Whether to replace the files.
        html: File for a page of explanations, .html.
        titles: File with item_id and title, for the page.
        sample: Requests on the page, drawn at random where there are more.
    """
    check_k(top)
    check_k(sample, name="sample")
    place, page = check_file(out, overwrite=overwrite), _check_page(html, titles, overwrite=overwrite)
    recommender, log = open_all(model, history, columns, unit, tracking_uri=tracking_uri)
    frame = open_slate(slate, recommender, columns, unit)
    attributes = read_given(users, "users", columns)
    if page is not None:
        from recattn.pages import Limits, explanation_page

        named = read_given(titles, "titles", columns)
        asked: dict[str, Any] = {"history": log, "users": attributes, "as_of": as_of}
        with working("explaining a sample"):
            text = explanation_page(recommender, frame, titles=named, limits=Limits(requests=sample), **asked)
        _write_page(text, page)
        if place is None:
            return
    with working(f"explaining {len(frame):,} scores"):
        changes = recommender.explain(frame, history=log, users=attributes, top=top, as_of=as_of)
    deliver(changes, place, "explanations")


def _check_page(path: str | None, titles: str | None, *, overwrite: bool) -> Path | None:
    if path is None:
        if titles is not None:
            raise ConfigError("titles are for a page of explanations, but there is none. Pass --html FILE.html too.")
        return None
    file = Path(path)
    if file.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--html writes a page, got {path!r}. Its name must end in .html.")
    if file.is_dir():
        raise ArtifactError(f"{path} is a folder. Name a file.")
    return check_place(file, overwrite=overwrite)


def _write_page(text: str, path: Path) -> None:
    """Write it under a hidden name first: no half-written page has the final one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path} could not be written: {error.strerror}. Nothing was left there.") from error
    finally:
        partial.unlink(missing_ok=True)
    console.info("a page of explanations in %s", path)
