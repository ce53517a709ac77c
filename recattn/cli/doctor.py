"""`recattn doctor`: what a batch job would take, and what is wrong with its inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recattn.cli.arguments import speak_cli
from recattn.cli.batch import folder_of
from recattn.cli.console import say, working
from recattn.cli.serving import check_device
from recattn.cli.settings import Columns
from recattn.config import Stage
from recattn.errors import DataError
from recattn.jobs.budget import told
from recattn.jobs.job import NO_LIMIT
from recattn.jobs.limits import FailIf
from recattn.schema.times import Unit

if TYPE_CHECKING:
    from recattn.jobs.doctor import Estimate

COLUMNS = Columns()
STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def run(
    model: str,
    history: str,
    slate: str | None = None,
    k: int | None = None,
    out: str | None = None,
    users: str | None = None,
    candidates: str | None = None,
    fallback: str | None = None,
    user_features: str | None = None,
    exclude_seen: bool = True,
    as_of: str | int | None = None,
    stage: Stage | None = None,
    explain: int = 0,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    device: str | None = None,
    threads: int | None = None,
    memory_budget: str = "2GB",
    rows_a_part: int | None = None,
    fail_if: FailIf = NO_LIMIT,
    tracking_uri: str | None = None,
) -> None:
    """Say what a job would take, and what is wrong with its inputs, before it is started.

    recattn doctor --model model --slate candidates/ --history store --out scores
    recattn doctor --model model --k 20 --history store --out lists

    The inputs are opened as the job would, a sample of them is looked at, some hundred requests are scored; nothing is
    written. The status is 1 where something keeps the job from running. Warnings are of what would spoil its result.

    Args:
        model: Model folder, or a model in MLflow: `models:/name@alias`, `runs:/id/model`.
        history: Interactions: a file, or a store of `recattn prepare`.
        slate: Candidates to score: a file, or a folder of them. Without it, lists from the catalog.
        k: Items a request, for the catalog; 10 by default.
        out: The folder for the result; without it, place and disk are not looked at.
        users: For the catalog: file of requests.
        candidates: For the catalog: file of the only items to choose from.
        fallback: For the catalog: file of what requests without history are given.
        user_features: File with the attributes of users, for models that use them.
        exclude_seen: For the catalog: whether items of the visible history are left out.
        as_of: The moment of rows that name none, a date or seconds; just after the end of the history by default.
        stage: A cheaper score than the model's own.
        explain: Interactions to add to each row, those whose masking changes its score most.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        device: cpu, cuda ...; by default the best there is.
        threads: Torch threads on the CPU.
        memory_budget: What the job may hold in memory beside the libraries and the model.
        rows_a_part: Rows (requests, for the catalog) a part; as many as the budget holds by default.
        fail_if: Limits of the job, to see whether it would pass them.
        tracking_uri: The MLflow of a model there.
    """
    from recattn.jobs import ScoreJob, examine

    check_device(device)
    files = {"slate": slate, "users": users, "candidates": candidates, "fallback": fallback}
    job = ScoreJob(
        model=model,
        history=history,
        out=out or "scores",
        k=10 if slate is None and k is None else k,
        user_features=user_features,
        exclude_seen=exclude_seen,
        as_of=as_of,
        stage=stage,
        explain=explain,
        columns=columns.mapping(),
        unit=unit,
        device=device,
        threads=threads,
        memory_budget=memory_budget,
        rows_a_part=rows_a_part,
        fail_if=fail_if,
        **files,
    )
    with folder_of(model, tracking_uri) as (folder, _), working("examining"):
        found = examine(replace(job, model=str(folder)), place=out is not None)
    for finding in found.findings:
        say(f"{finding.level:<7}  {finding.about}: {speak_cli(finding.text, run)}", style=STYLES[finding.level])
    if found.estimate is not None:
        _tell(found.estimate, "rows" if slate is not None else "requests")
    if found.errors:
        raise DataError(f"{found.errors} of the findings keep the job from running.")


def _tell(estimate: Estimate, counted: str) -> None:
    say(f"{estimate.rows:,} {counted} in {estimate.parts:,} parts")
    if estimate.rate:
        say(
            f"about {_long(estimate.seconds)} in one process ({estimate.rate:,.0f} {counted}/s, measured on "
            f"{estimate.timed:,})"
        )
    say(f"up to {told(estimate.memory)} of memory, about {told(estimate.disk)} for the result")
    if estimate.work:
        say(f"about {told(estimate.work)} of files beside it, to bring the rows of a request together")


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
