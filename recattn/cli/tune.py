"""`recattn tune`: the settings that validate best, found by trials."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from recattn.cli import train as train_command
from recattn.cli.console import headline, log, say, show_table
from recattn.cli.data import read_table
from recattn.cli.files import check_place, write_table
from recattn.cli.held_out import hold_out
from recattn.cli.judging import title
from recattn.cli.kinds import features, listed
from recattn.cli.settings import Columns, SplitSettings, Tracking
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset import CleanConfig
from recattn.dataset.targets import Target
from recattn.errors import ArtifactError, ConfigError
from recattn.schema import check_k
from recattn.schema.times import Unit
from recattn.tuning import TuneResult, check, earlier_run
from recattn.tuning import tune as search

if TYPE_CHECKING:
    from recattn.tracking import Run

COLUMNS, SPLIT, CLEAN, TRACKING = Columns(), SplitSettings(), CleanConfig(), Tracking()
MODEL_CONFIG, TRAIN_CONFIG = ModelConfig(), TrainConfig()
BEST = "best.yaml"


def run(
    interactions: str,
    out: str,
    space: dict[str, Any],
    trials: int = 20,
    timeout: float | None = None,
    workers: int = 1,
    metric: str = "ndcg_at_10",
    sampler: str | dict[str, Any] = "tpe",
    pruner: str | dict[str, Any] = "median",
    study: str = "recattn",
    storage: str | None = None,
    fit: bool = False,
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
    refit: bool = False,
    baselines: str | list[str | dict[str, Any]] = train_command.BASELINES,
    target: Target = "last",
    k: int = 10,
    exclude_seen: bool = True,
    threads: int | None = None,
    tracking: Tracking = TRACKING,
) -> None:
    """Search the settings that validate best. The test part is for the winner alone, at the end.

    recattn tune --config books.yaml --trials 50 --workers 2
    recattn train --config search/best.yaml

    What was stopped goes on with the same command; more trials are added with a higher --trials. The space is in the
    config file:

    space:
      model.dim: {choices: [32, 64]}
      model.num_layers: {low: 1, high: 3}
      train.learning_rate: {low: 1e-4, high: 1e-2, log: true}

    Args:
        interactions: CSV or Parquet file (or folder of them), or a store of `recattn prepare`.
        out: The folder of the search: `best.yaml` for `recattn train`, `trials.csv`, `search.png`, `study.db`.
        space: Settings of the model and of training to search, each with choices, or with low and high.
        trials: Trials in all, those of earlier calls among them.
        timeout: Seconds after which no new trial begins.
        workers: Trials that run at once, each in a process of its own.
        metric: What of validation is made as high as can be.
        sampler: `tpe`, `random`, or with settings `{kind: tpe, startup_trials: 10}`.
        pruner: What ends bad trials early: `median`, `hyperband`, `none`, or with settings
            `{kind: median, startup_trials: 5, warmup_epochs: 2}`.
        study: The name of the study; another space or other data need another.
        storage: The SQLite file of the study; OUT/study.db by default.
        fit: Whether to train the winner at the end, judge it on the test part and save it in OUT/model.
        items: File with a row an item; its items join the catalog.
        users: File with a row a user.
        columns: What your files call our columns.
        unit: What numbers in timestamp count.
        split: What is held out.
        clean: What is taken out of the training part, after the split.
        item_features: Columns of items, as in `recattn train`.
        user_features: Columns of users, in the same form.
        context_features: Columns of the interactions that describe a request, in the same form.
        model: The settings of the scorer that are not searched.
        train: Those of training.
        refit: For the winner: whether to train anew on train + validation, before the test.
        baselines: For the winner: what to beat.
        target: For the winner: the test requests.
        k: For the winner: places of a list that count.
        exclude_seen: For the winner: whether items of a user's history are left out.
        threads: Torch threads on the CPU, for all workers together.
        tracking: The run in MLflow, with one below it for each trial.
    """
    asked = dict(locals())
    place = _folder(out)
    file = place / "study.db" if storage is None else Path(storage)
    check_k(k)
    if split.kind == "none":
        raise ConfigError("a search needs a validation part: split.kind must be time or leave_last_out, got 'none'.")
    check(space, model, train, trials=trials, timeout=timeout, workers=workers, metric=metric)
    item_frame = None if items is None else read_table(items, "items", columns)
    user_frame = None if users is None else read_table(users, "users", columns)
    item_specs = features(listed(item_features), "item_features")
    user_specs = features(listed(user_features), "user_features")
    context_specs = features(listed(context_features), "context_features")
    held_out, past = hold_out(interactions, columns, unit, split, clean, model)
    assert held_out is not None
    place.mkdir(exist_ok=True)
    with _tracked(tracking, file, study) as kept, _resumable():
        found = search(
            past,
            held_out.valid,
            space,
            storage=file,
            study=study,
            model=model,
            settings=train,
            items=item_frame,
            users=user_frame,
            item_features=item_specs,
            user_features=user_specs,
            context_features=context_specs,
            trials=trials,
            timeout=timeout,
            workers=workers,
            threads=threads,
            metric=metric,
            sampler=sampler,
            pruner=pruner,
            run=kept,
        )
    winner = _for_train(asked, found, place)
    (place / BEST).write_text(yaml.safe_dump(_plain(winner), sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_table(found.trials, place / "trials.csv")
    found.figure().savefig(place / "search.png")
    _tell(found)
    if fit:
        with _winner_run(kept, study):
            train_command.run(**winner, overwrite=True)
    else:
        headline("next")
        say(f"  recattn train --config {place / BEST}     (fits the winner and judges it on the test part)")


def _folder(out: str) -> Path:
    """The folder of a search, new or begun; ArtifactError for one that holds other things."""
    place = Path(out)
    begun = any((place / name).exists() for name in (BEST, "study.db", "study.work"))
    empty = place.is_dir() and not any(place.iterdir())
    if place.exists() and not (begun or empty):
        raise ArtifactError(f"{out} already exists and holds no search. Name another folder.")
    return check_place(place, overwrite=True)


@contextlib.contextmanager
def _tracked(settings: Tracking, storage: Path, study: str) -> Iterator[Run | None]:
    """The run of the search, that of its earlier calls where there is one."""
    if not settings.enabled:
        yield None
        return
    from recattn.tracking.nested import track_again
    from recattn.tracking.quiet import quiet

    where, name = settings.tracking_uri, settings.run_name or study
    with (
        quiet("mlflow", "alembic"),
        track_again(earlier_run(storage, study), settings.experiment, name, tracking_uri=where) as run,
    ):
        yield run


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        log.warning("stopped; the same command goes on with the trials that are left")
        raise


@contextlib.contextmanager
def _winner_run(search_run: Run | None, study: str) -> Iterator[None]:
    """A run below that of the search, which training joins."""
    if search_run is None:
        yield
        return
    from recattn.tracking.nested import track_child
    from recattn.tracking.quiet import quiet

    tags, where = {"recattn.study": study, "recattn.winner": True}, search_run.tracking_uri
    with quiet("mlflow", "alembic"), track_child(search_run.id, f"{study} winner", tracking_uri=where, tags=tags):
        yield


def _for_train(asked: Mapping[str, Any], found: TuneResult, place: Path) -> dict[str, Any]:
    """What `recattn train` takes to fit the winner."""
    names = inspect.signature(train_command.run).parameters
    return {name: asked[name] for name in names if name in asked} | {
        "out": str(place / "model"),
        "model": found.model,
        "train": found.train,
    }


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `train` as YAML says them, those that differ from its own; no URI, since it may hold a password."""
    own = inspect.signature(train_command.run).parameters
    tracking = dataclasses.replace(asked["tracking"], tracking_uri=None, run_name=None)
    chosen = {name: value for name, value in {**asked, "tracking": tracking}.items() if value != own[name].default}
    return json.loads(json.dumps(chosen, default=dataclasses.asdict))


def _tell(found: TuneResult) -> None:
    states = found.trials["state"].value_counts()
    headline(f"{', '.join(f'{count} {state}' for state, count in states.items())} of {len(found.trials)} trials")
    name = title(found.metric.removeprefix("valid/"))
    names = ["trial", "value", *found.values, "epochs", "seconds"]
    show_table(found.best()[names].rename(columns={"value": name}).round({"seconds": 1}), best=(name,))
    if found.importances:
        shares = ", ".join(f"{one} {share:.0%}" for one, share in found.importances.items())
        say(f"what mattered (fANOVA): {shares}")
