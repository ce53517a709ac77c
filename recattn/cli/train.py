"""`recattn train`: from interactions to a judged, saved, tracked model."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from recattn.cli.console import NEWS, headline, log, say, show_table
from recattn.cli.data import read_table
from recattn.cli.files import check_place
from recattn.cli.held_out import hold_out
from recattn.cli.item_facts import popularity_of
from recattn.cli.judging import MODEL, Exam, more_is_better, table_of, verdict
from recattn.cli.keeping import keep_examples, keep_model, keep_reports
from recattn.cli.kinds import BIAS, features, listed, metrics
from recattn.cli.kinds import baselines as make_baselines
from recattn.cli.progress import EpochLines
from recattn.cli.settings import Columns, SplitSettings, Tracking
from recattn.cli.threads import cpu_threads
from recattn.cli.tracked import tracked
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset import CleanConfig
from recattn.dataset.targets import Target
from recattn.evaluation import NDCG, Report
from recattn.schema import check_k, read_items, read_users
from recattn.schema.times import Unit

if TYPE_CHECKING:
    from recattn.tracking import Run

COLUMNS, SPLIT, CLEAN, TRACKING = Columns(), SplitSettings(), CleanConfig(), Tracking()
MODEL_CONFIG, TRAIN_CONFIG = ModelConfig(), TrainConfig()
BASELINES: list[str | dict[str, Any]] = ["popularity", "item_knn"]
METRICS = ("ndcg", "recall", "mrr", "coverage")


def run(
    interactions: str,
    out: str,
    items: str | None = None,
    users: str | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    split: SplitSettings = SPLIT,
    clean: CleanConfig = CLEAN,
    item_features: list[dict[str, Any]] | None = None,
    user_features: list[dict[str, Any]] | None = None,
    context_features: list[dict[str, Any]] | None = None,
    model: ModelConfig = MODEL_CONFIG,
    train: TrainConfig = TRAIN_CONFIG,
    checkpoint_dir: str | None = None,
    resume: bool = False,
    refit: bool = False,
    baselines: str | list[str | dict[str, Any]] = BASELINES,
    target: Target = "last",
    k: int = 10,
    exclude_seen: bool = True,
    threads: int | None = None,
    tracking: Tracking = TRACKING,
    overwrite: bool = False,
) -> None:
    """Train a model, judge it on the test part of a split beside baselines, save it, keep the run in MLflow.

    recattn train --config books.yaml --train.max_epochs 5

    Paths are relative to the working directory.

    Args:
        interactions: CSV or Parquet file (or folder of them), or a store of `recattn prepare`.
        out: The folder for the model.
        items: File with a row an item; its items join the catalog.
        users: File with a row a user.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        split: What is held out.
        clean: What is taken out of the training part, after the split.
        item_features: Columns of items: `[{kind: multi, column: genres}, {kind: numeric, column: price, log: true}]`;
            kinds are categorical, multi, numeric.
        user_features: Columns of users, in the same form.
        context_features: Columns of the interactions that describe a request, in the same form.
        model: The scorer.
        train: How it is trained.
        checkpoint_dir: Folder for checkpoints; needed to resume.
        resume: Whether to go on from the last checkpoint there, in the same MLflow run.
        refit: Whether to train anew on train + validation for the best number of epochs, before the test.
        baselines: What to beat: popularity, item_knn, recency, or `{kind: popularity, window: 7D}`.
        target: The test requests: a user's last held-out interaction, each one in turn, or all at once.
        k: Places of a list that count.
        exclude_seen: Whether items of a user's history are left out of lists, and of the truth.
        threads: Torch threads on the CPU.
        tracking: The run in MLflow.
        overwrite: Whether to replace the model folder.
    """
    place = check_place(out, overwrite=overwrite)
    from recattn.recommender import Recommender

    recommender = Recommender(
        model,
        train,
        item_features=features(listed(item_features), "item_features"),
        user_features=features(listed(user_features), "user_features"),
        context_features=features(listed(context_features), "context_features"),
    )
    rivals, k = make_baselines(listed(baselines)), check_k(k)
    item_frame = None if items is None else read_items(read_table(items, "items", columns))
    user_frame = None if users is None else read_users(read_table(users, "users", columns))
    held_out, past = hold_out(interactions, columns, unit, split, clean, model)
    reports: dict[str, Report] = {}
    with cpu_threads(threads), tracked(tracking, resume_from=checkpoint_dir if resume else None) as kept:
        if held_out is not None:
            for rival in rivals.values():  # first, since what is wrong with them should show before the long work
                rival.fit(held_out.train, items=item_frame, time=model.time, ties=model.ties)
        with _resumable(checkpoint_dir):
            recommender.fit(
                past,
                items=item_frame,
                users=user_frame,
                valid=None if held_out is None else held_out.valid,
                observers=[*([kept] if kept else []), *([] if NEWS.is_terminal else [EpochLines()])],
                checkpoint_dir=checkpoint_dir,
                resume=resume,
                refit=refit,
            )
        recommender.save(place, overwrite=overwrite)
        log.info("the model is in %s", place)
        if held_out is not None:
            catalog = recommender.items.vocabulary.ids.tolist()
            measures = metrics([*METRICS, *BIAS], [k], popularity=popularity_of(held_out.train, catalog))
            exam = Exam(held_out, target, measures, catalog, exclude_seen)
            begin = time.perf_counter()
            answers = exam.ask(recommender, user_features=user_frame)
            seconds = time.perf_counter() - begin
            reports = {MODEL: exam.judge(answers)}
            reports |= {name: exam.judge(exam.ask(rival)) for name, rival in rivals.items()}
            if kept is not None:
                kept.cost(recommend_seconds=seconds)
                keep_reports(kept, reports, held_out, answers)
                keep_examples(kept, recommender, exam, answers, item_frame, user_frame, table=tracking.samples)
        if kept is not None:
            keep_model(kept, recommender, place, tracking.registered_model_name)
    _tell(reports, k)
    _next(out, interactions, kept)


@contextlib.contextmanager
def _resumable(checkpoint_dir: str | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint_dir is not None:
            log.warning("stopped; the same command with --resume goes on from the last epoch in %s", checkpoint_dir)
        raise


def _tell(reports: Mapping[str, Report], k: int) -> None:
    if not reports:
        return
    requests = reports[MODEL].policy["requests"]
    headline(f"test part, {requests:,} requests, full catalog")
    show_table(table_of(reports, METRICS), best=more_is_better(reports[MODEL]))
    if len(reports) > 1:
        say(verdict(reports, NDCG(k).name))


def _next(out: str, interactions: str, kept: Run | None) -> None:
    headline("next")
    say(f"  recattn recommend --model {out} --history {interactions} --k 10 --out recommendations.csv")
    say(f"  recattn score --model {out} --history {interactions} --slate candidates.csv --out scores.csv")
    if kept is not None:
        say(f"  mlflow ui --backend-store-uri {kept.tracking_uri}     (run {kept.id})")
