"""`recattn evaluate`: how good a model, or anybody's recommendations, are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from recattn.cli.console import headline, log, say, show_table, working
from recattn.cli.data import describe, read_given, read_log_frame, read_table
from recattn.cli.files import check_file, write_table
from recattn.cli.judging import MODEL, Exam, interval, table_of, title, verdict
from recattn.cli.kinds import baselines as make_baselines
from recattn.cli.kinds import listed
from recattn.cli.kinds import metrics as make_metrics
from recattn.cli.models import open_model
from recattn.cli.settings import Columns, SplitSettings
from recattn.dataset.targets import Target
from recattn.errors import ConfigError
from recattn.evaluation import Coverage, Report, evaluate
from recattn.evaluation.evaluate import Metric
from recattn.schema import require
from recattn.schema.columns import ITEM
from recattn.schema.times import Unit

COLUMNS, SPLIT = Columns(), SplitSettings()
METRICS = ["ndcg", "recall", "mrr", "coverage"]
NONE: list[str | dict[str, Any]] = []


def run(
    model: str | None = None,
    interactions: str | None = None,
    recommendations: str | None = None,
    truth: str | None = None,
    split: SplitSettings = SPLIT,
    target: Target = "last",
    exclude_seen: bool = True,
    baselines: str | list[str | dict[str, Any]] = NONE,
    seen: Literal["keep", "drop"] = "keep",
    metrics: str | list[str] = METRICS,
    k: int | str | list[int] = 10,
    items: str | None = None,
    users: str | None = None,
    catalog_size: int | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    out: str | None = None,
    tracking_uri: str | None = None,
    overwrite: bool = False,
) -> None:
    """Judge a model on the test part of a split, or a file of recommendations by a file of truth.

    recattn evaluate --model model --interactions log.parquet --baselines popularity
    recattn evaluate --recommendations mine.csv --truth held_out.csv --k 10,20

    Use the split the model was trained with; with another, it may have seen the answers.

    Args:
        model: Model folder, or a model in MLflow: `models:/name@alias`, `runs:/id/model`.
        interactions: For a model: the whole log, a file or a store of `recattn prepare`.
        recommendations: File with user_id or request_id, item_id, and rank or score; anybody's.
        truth: File with user_id or request_id, item_id, and for `--seen drop` a column seen.
        split: For a model: what is held out.
        target: For a model: a user's last held-out interaction, each one in turn, or all at once.
        exclude_seen: For a model: whether items of the history are left out of lists, and of the truth.
        baselines: For a model: to set beside it, fitted on the training part.
        seen: For files: whether truth rows that are marked as seen count.
        metrics: Of ndcg, recall, hit_rate, precision, mrr, coverage.
        k: Places of a list that count: a number, or several: `10,20`.
        items: File with a row an item: the catalog of coverage for files, and of baselines (by default the model's).
        users: For a model that uses them: file with the attributes of users.
        catalog_size: For files: the number of items, where there is no file of them.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        out: File for the values of each request, .csv or .parquet.
        tracking_uri: The MLflow of a model there.
        overwrite: Whether to replace the file.
    """
    place = check_file(out, overwrite=overwrite)
    measures = make_metrics(listed(metrics), _numbers(k))
    if model is not None and interactions is not None and recommendations is None and truth is None:
        if split.kind == "none":
            raise ConfigError("split.kind must be time or leave_last_out: with 'none' there is nothing to judge by.")
        rivals = make_baselines(listed(baselines))
        recommender = open_model(model, tracking_uri)
        config = recommender.config
        frame = read_log_frame(interactions, columns, unit=unit, time=config.time)
        describe(frame, "interactions")
        held_out = split.cut(frame, time=config.time, ties=config.ties)
        log.info("%r", held_out)
        exam = Exam(held_out, target, measures, recommender.items.vocabulary.ids.tolist(), exclude_seen)
        with working("judging"):
            reports = {MODEL: exam.judge(exam.ask(recommender, user_features=read_given(users, "users", columns)))}
            for name, rival in rivals.items():
                catalog = read_given(items, "items", columns)
                if catalog is None:
                    catalog = pd.DataFrame({ITEM: recommender.items.vocabulary.ids})
                rival.fit(held_out.train, items=catalog, time=config.time, ties=config.ties)
                reports[name] = exam.judge(exam.ask(rival))
    elif recommendations is not None and truth is not None and model is None and interactions is None:
        lists, held = read_table(recommendations, "recommendations", columns), read_table(truth, "truth", columns)
        catalog_items = read_given(items, "items", columns)
        report = _of_files(lists, held, measures, seen, catalog_items, catalog_size)
        reports = {Path(recommendations).stem: report}
    else:
        raise ConfigError(
            "give --model and --interactions to judge a model, or --recommendations and --truth to judge a file."
        )
    _tell(reports, place)


def _numbers(k: int | str | list[int]) -> list[int]:
    try:
        return [int(part) for part in (listed(k) if isinstance(k, str) else k if isinstance(k, list) else [k])]
    except ValueError:
        raise ConfigError(f"k must be a whole number, or several such as 10,20, got {k!r}.") from None


def _of_files(
    recommendations: pd.DataFrame,
    truth: pd.DataFrame,
    metrics: Sequence[Metric],
    seen: Literal["keep", "drop"],
    items: pd.DataFrame | None,
    catalog_size: int | None,
) -> Report:
    """Coverage, which needs a catalog, is left out where there is none."""
    if items is not None:
        require(items, [ITEM], "items")
    known = items is not None or catalog_size is not None
    chosen = [metric for metric in metrics if known or not isinstance(metric, Coverage)]
    if len(chosen) < len(metrics):
        log.info("coverage is left out: it needs --items or --catalog_size")
    catalog = None if items is None else items[ITEM]
    return evaluate(recommendations, truth, chosen, seen=seen, catalog=catalog, catalog_size=catalog_size)


def _tell(reports: dict[str, Report], place: Path | None) -> None:
    first = next(iter(reports.values()))
    policy = first.policy
    headline(f"{policy['requests']:,} requests by {policy['key']}, {policy['truth_rows']:,} truth rows")
    table = table_of(reports)
    show_table(table, best=tuple(table.columns[1:]) if len(table) > 1 else ())
    for name in first.per_request.columns.intersection(list(first.summary))[:1]:
        say(verdict(reports, name) if len(reports) > 1 else f"{title(name)}: {interval(first, name)}")
    if policy["requests_without_recommendations"]:
        log.warning("%s requests have no recommendation: misses", f"{policy['requests_without_recommendations']:,}")
    if place is not None:
        rows = [report.per_request.assign(recommender=name) for name, report in reports.items()]
        write_table(pd.concat(rows, ignore_index=True), place)
        log.info("the values of each request are in %s", place)
