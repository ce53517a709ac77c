"""What a training command leaves in its run of MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from recattn.cli.console import hushed, log
from recattn.cli.judging import MODEL, Exam, table_of
from recattn.dataset import Split
from recattn.errors import ArtifactError
from recattn.evaluation import Report
from recattn.schema.columns import ITEM

if TYPE_CHECKING:
    from recattn.recommender import Recommender
    from recattn.tracking import Run


def keep_reports(kept: Run, reports: Mapping[str, Report], split: Split, answers: pd.DataFrame) -> None:
    """The evaluations of the model, with its lists, and of its rivals."""
    for name, report in reports.items():
        if name == MODEL:
            kept.log(report, recommendations=answers)
        else:
            kept.log(report, prefix=f"test_{name.replace(' ', '_')}")
    kept.artifact("tables/comparison.json", table_of(reports))
    kept.dataset("test", split.test, "test")


def keep_examples(
    kept: Run,
    recommender: Recommender,
    exam: Exam,
    answers: pd.DataFrame,
    items: pd.DataFrame | None,
    users: pd.DataFrame | None,
    *,
    table: bool,
) -> None:
    """Sample lists (with `table`) with what moved them, and where the model looks."""
    with hushed():
        kept.examples(
            recommender,
            answers,
            history=exam.split.history("test"),
            asked=exam.split.requests("test", exam.target),
            users=users,
            titles=items.set_index(ITEM)["title"] if items is not None and "title" in items else None,
            table=table,
        )


def keep_model(kept: Run, recommender: Recommender, place: Path, name: str | None) -> None:
    """A store of files that refuses the model does not cost the fit: the model is in its folder already."""
    try:
        with hushed():
            kept.log_model(recommender, registered_model_name=name)
    except ArtifactError as error:
        log.warning("%s The model is in %s.", str(error).partition(" It is fitted")[0], place)
