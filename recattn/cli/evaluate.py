"""`recattn evaluate`: how good a model, or anybody's recommendations, are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from recattn.cli.console import headline, log, say, show_table, working
from recattn.cli.data import describe, read_given, read_log_frame
from recattn.cli.files import check_file, write_table
from recattn.cli.item_facts import categories_of, popularity_of
from recattn.cli.judged_files import judge_labelled, judge_lists
from recattn.cli.judging import (
    MODEL,
    SEGMENTS,
    Exam,
    interval,
    more_is_better,
    show_segments,
    table_of,
    title,
    verdict,
)
from recattn.cli.kinds import baselines as make_baselines
from recattn.cli.kinds import check_metrics, listed
from recattn.cli.kinds import metrics as make_metrics
from recattn.cli.models import open_model
from recattn.cli.settings import Columns, SplitSettings
from recattn.dataset.targets import Target
from recattn.errors import ConfigError, nearest
from recattn.evaluation import Report
from recattn.evaluation.labelled import Group
from recattn.schema.columns import ITEM
from recattn.schema.times import Unit

COLUMNS, SPLIT = Columns(), SplitSettings()
METRICS = ["ndcg", "recall", "mrr", "coverage"]
NONE: list[str | dict[str, Any]] = []
NONE_BY: list[str] = []


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
    labelled: str | None = None,
    group: Group | None = None,
    metrics: str | list[str] = METRICS,
    k: int | str | list[int] = 10,
    by: str | list[str] = NONE_BY,
    segments: str | None = None,
    items: str | None = None,
    diversity_column: str | None = None,
    popularity: str | None = None,
    users: str | None = None,
    catalog_size: int | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    out: str | None = None,
    tracking_uri: str | None = None,
    overwrite: bool = False,
) -> None:
    """Judge a model on the test part of a split, a file of recommendations by a file of truth, or labelled scores.

    recattn evaluate --model model --interactions log.parquet --baselines popularity
    recattn evaluate --recommendations mine.csv --truth held_out.csv --k 10,20
    recattn evaluate --labelled scored.parquet

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
        labelled: File with user_id or request_id, label (0 or 1), score, and where there are such probability and
            weight: judged by AUC, AUC within groups, log loss and calibration error.
        group: For labelled scores: within what AUC is taken; requests where there are such, else users.
        metrics: Of lists: ndcg, recall, hit_rate, precision, mrr, map, coverage, gini, average_popularity, novelty,
            intra_list_diversity.
        k: Places of a list that count: a number, or several: `10,20`.
        by: A table for each of these columns of requests; for a model of history_length, target_popularity, cold,
            popularity; for files of those in segments.
        segments: For files: a file with a row a request (or user), by whose columns to cut.
        items: File with a row an item: the catalog of coverage and gini for files, and of baselines (by default the
            model's).
        diversity_column: For intra_list_diversity: the column of items that tells their categories, `war|drama`.
        popularity: For average_popularity and novelty of files: a file with item_id and interactions, or the log that
            the model learned from. For a model the training part is counted.
        users: For a model that uses them: file with the attributes of users.
        catalog_size: For files: the number of items, where there is no file of them.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        out: File for the values of each request, .csv or .parquet.
        tracking_uri: The MLflow of a model there.
        overwrite: Whether to replace the file.
    """
    place = check_file(out, overwrite=overwrite)
    names, ks, cuts = listed(metrics), _numbers(k), listed(by)
    way = (model, interactions), (recommendations, truth), (labelled,)
    if sum(any(part is not None for part in one) for one in way) != 1 or not any(None not in one for one in way):
        raise ConfigError(
            "give --model and --interactions to judge a model, --recommendations and --truth to judge a file, or "
            "--labelled to judge scores beside labels."
        )
    if cuts and model is None and segments is None:
        raise ConfigError(f"--by {','.join(cuts)} needs columns of requests: give --segments FILE.")
    if labelled is not None:
        report = judge_labelled(labelled, columns, group=group, segments=segments)
        _tell_labelled(Path(labelled).stem, report, cuts, place)
        return
    if recommendations is not None and truth is not None:
        facts = {"popularity": popularity, "features": diversity_column}
        check_metrics(names, ks, [fact for fact, value in facts.items() if value is not None])
        report = judge_lists(
            recommendations,
            truth,
            names,
            ks,
            columns,
            seen=seen,
            items=items,
            catalog_size=catalog_size,
            popularity=popularity,
            diversity_column=diversity_column,
            segments=segments,
        )
        _tell({Path(recommendations).stem: report}, cuts, place)
        return
    assert model is not None
    assert interactions is not None
    if split.kind == "none":
        raise ConfigError("split.kind must be time or leave_last_out: with 'none' there is nothing to judge by.")
    check_metrics(names, ks, ["popularity", *(["features"] if items and diversity_column else [])])
    for cut in cuts:
        if cut not in SEGMENTS:
            raise ConfigError(
                f"by has no {cut!r}.{nearest(cut, SEGMENTS)} For a model there are: {', '.join(SEGMENTS)}."
            )
    rivals = make_baselines(listed(baselines))
    recommender = open_model(model, tracking_uri)
    config, known = recommender.config, recommender.items.vocabulary.ids.tolist()
    item_frame = read_given(items, "items", columns)
    features = categories_of(item_frame, diversity_column) if item_frame is not None and diversity_column else None
    frame = read_log_frame(interactions, columns, unit=unit, time=config.time)
    describe(frame, "interactions")
    held_out = split.cut(frame, time=config.time, ties=config.ties)
    log.info("%r", held_out)
    measures = make_metrics(names, ks, popularity=popularity_of(held_out.train, known), features=features)
    exam = Exam(held_out, target, measures, known, exclude_seen)
    with working("judging"):
        reports = {MODEL: exam.judge(exam.ask(recommender, user_features=read_given(users, "users", columns)))}
        for name, rival in rivals.items():
            catalog = pd.DataFrame({ITEM: known}) if item_frame is None else item_frame
            rival.fit(held_out.train, items=catalog, time=config.time, ties=config.ties)
            reports[name] = exam.judge(exam.ask(rival))
    _tell(reports, cuts, place)


def _numbers(k: int | str | list[int]) -> list[int]:
    try:
        return [int(part) for part in (listed(k) if isinstance(k, str) else k if isinstance(k, list) else [k])]
    except ValueError:
        raise ConfigError(f"k must be a whole number, or several such as 10,20, got {k!r}.") from None


def _tell(reports: dict[str, Report], by: Sequence[str], place: Path | None) -> None:
    first = next(iter(reports.values()))
    policy = first.policy
    headline(f"{policy['requests']:,} requests by {policy['key']}, {policy['truth_rows']:,} truth rows")
    table, best = table_of(reports), more_is_better(first)
    show_table(table, best=best if len(table) > 1 else ())
    for name in [name for name in first.summary if name in first.per_request and title(name) in best][:1]:
        say(verdict(reports, name) if len(reports) > 1 else f"{title(name)}: {interval(first, name)}")
    show_segments(reports, by)
    if policy["requests_without_recommendations"]:
        log.warning("%s requests have no recommendation: misses", f"{policy['requests_without_recommendations']:,}")
    _keep(reports, place)


def _tell_labelled(name: str, report: Report, by: Sequence[str], place: Path | None) -> None:
    policy = report.policy
    rows = f"{policy['truth_rows']:,} rows, {policy['positive_rows']:,} of label 1"
    headline(f"{rows}, grouped by {policy['key']}")
    show_table(table_of({name: report}).rename(columns={"recommender": "scores"}))
    if "grouped_auc" in report.per_request:
        say(f"{title('grouped_auc')}: {interval(report, 'grouped_auc')}")
    show_segments({name: report}, by)
    if policy["one_label_groups"]:
        log.info("%s groups have one label only: in no grouped AUC", f"{policy['one_label_groups']:,}")
    if policy["unscored_rows_ignored"]:
        log.warning("%s rows have no score: left out", f"{policy['unscored_rows_ignored']:,}")
    _keep({name: report}, place)


def _keep(reports: dict[str, Report], place: Path | None) -> None:
    if place is not None:
        rows = [report.per_request.assign(recommender=name) for name, report in reports.items()]
        write_table(pd.concat(rows, ignore_index=True), place)
        log.info("the values of each request are in %s", place)
