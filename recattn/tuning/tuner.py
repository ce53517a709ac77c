"""The search as a user asks for it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from recattn.config import FeatureSpec, ModelConfig, TrainConfig, to_dict
from recattn.dataset import HistoryStore
from recattn.dataset.doors import open_log
from recattn.errors import ArtifactError
from recattn.jobs.lock import alone
from recattn.schema import read_items, read_users
from recattn.tuning.crew import Outcome, crew
from recattn.tuning.doors import METRIC, check
from recattn.tuning.result import TuneResult, result_of
from recattn.tuning.search import Search
from recattn.tuning.space import Space
from recattn.tuning.study import RUN, Spec, bury, counted, hushed, make_pruner, make_sampler, open_study, running
from recattn.tuning.task import Task, remove

if TYPE_CHECKING:
    import optuna

    from recattn.tracking import Run

Data = pd.DataFrame | str | Path
log = logging.getLogger("recattn")


def tune(
    train: Data | HistoryStore,
    valid: Data | HistoryStore,
    space: Mapping[str, Any],
    *,
    storage: str | Path,
    study: str = "recattn",
    model: ModelConfig | None = None,
    settings: TrainConfig | None = None,
    items: Data | None = None,
    users: Data | None = None,
    item_features: Sequence[FeatureSpec] = (),
    user_features: Sequence[FeatureSpec] = (),
    context_features: Sequence[FeatureSpec] = (),
    trials: int = 20,
    timeout: float | None = None,
    workers: int = 1,
    threads: int | None = None,
    metric: str = METRIC,
    sampler: Spec = "tpe",
    pruner: Spec = "median",
    run: Run | None = None,
) -> TuneResult:
    """Look for the settings that validate best. The same call with the same storage goes on where it was ended.

    Args:
        train: Interactions to learn from.
        valid: Later interactions, by which every trial is judged.
        space: What to vary: `{"model.dim": {"choices": [32, 64]}, "train.learning_rate": {"low": 1e-4, "high": 1e-2,
            "log": True}}`.
        storage: The SQLite file of the study; a folder beside it holds the logs of the workers.
        study: Its name there.
        model: The settings of the scorer that are not in the space.
        settings: Those of training; everything random follows from its seed.
        items: Attributes of items.
        users: Attributes of users.
        item_features: Columns of items to use.
        user_features: Columns of users to use.
        context_features: Columns of interactions that describe a request.
        trials: Trials in all, those of earlier calls among them.
        timeout: Seconds after which no new trial begins.
        workers: Trials that run at once, each in a process of its own on this machine.
        threads: Threads of the processor for all of them.
        metric: What is made as high as can be: a metric of validation, at the epoch of the best NDCG@10.
        sampler: `tpe`, `random`, or `{"kind": "tpe", "startup_trials": 10}`.
        pruner: What ends trials early: `median`, `hyperband`, `none`, or with its settings
            `{"kind": "median", "startup_trials": 5, "warmup_epochs": 2}`.
        run: The run of `recattn.track` to keep the search in, each trial as a run below it.

    Raises:
        ConfigError: A space, or settings, that cannot be; a study that was begun with others, or on other data.
        DataError: The data breaks a rule of the door, or there is too little of it.
        ArtifactError: The storage cannot be used, or another search uses it.
        TrainingError: The workers are gone, or no trial has ended well.
    """
    model, settings = model or ModelConfig(), settings or TrainConfig()
    area = check(
        space, model, settings, trials=trials, timeout=timeout, workers=workers, threads=threads, metric=metric
    )
    metric = f"valid/{metric.removeprefix('valid/')}"
    place = Path(storage)
    folder = place.with_suffix(".work")
    if not place.absolute().parent.is_dir():
        raise ArtifactError(f"storage {place} cannot be written: there is no folder {place.absolute().parent}.")
    task = Task(
        _frame(train, model),
        _frame(valid, model),
        None if items is None else read_items(items),
        None if users is None else read_users(users),
        item_features,
        user_features,
        context_features,
        metric,
        study,
        None if run is None else run.id,
    )
    most = max(
        [settings.max_epochs, *(end for one in area.dimensions if one.name == "train.max_epochs" for end in one.ends)]
    )
    with hushed(), alone(folder):
        make_sampler(sampler, 0, parallel=False)
        found = open_study(place, study, identity(task, area, model, settings), make_pruner(pruner, most))
        _take_up(found, trials)
        if run is not None:
            found.set_user_attr(RUN, run.state())
            run.params({f"space.{name}": repr(one) for name, one in area.to_dict().items()})
            run.tags({"recattn.study": study, "recattn.metric": metric})
        search = Search(found, area, model, settings, trials, timeout, sampler, _teller(found, run))
        if len(counted(found)) < trials:
            with (
                _handed_over(task, folder),
                crew(folder, workers, threads, None if run is None else run.tracking_uri) as lanes,
            ):
                search.run(lanes)
        result = result_of(found, area, model, settings, metric, place)
    if run is not None:
        _keep(run, result)
    return result


def earlier_run(storage: str | Path, study: str) -> dict[str, str] | None:
    """What `recattn.tracking.nested.track_again` needs to go on in the MLflow run of a study; None without one."""
    import optuna

    if not Path(storage).is_file():
        return None
    with hushed(), contextlib.suppress(Exception):  # what is wrong with the storage, `tune` will say
        return optuna.load_study(study_name=study, storage=f"sqlite:///{storage}").user_attrs.get(RUN)
    return None


def identity(task: Task, space: Space, model: ModelConfig, train: TrainConfig) -> dict[str, dict[str, Any]]:
    """What all trials of a study have in common."""
    from recattn.tracking.datasets import frame_digest

    searched = {one.name for one in space.dimensions}
    fixed = {f"model.{name}": value for name, value in to_dict(model).items()}
    fixed |= {f"train.{name}": value for name, value in to_dict(train).items()}
    frames = {name: getattr(task, name) for name in ("train", "valid", "items", "users")}
    return {
        "space": space.to_dict(),
        "settings": {name: value for name, value in fixed.items() if name not in searched},
        "features": {name: values for name, values in task.specs().items() if values},
        "data": {name: frame_digest(frame) for name, frame in frames.items() if frame is not None},
        "judged by": {"metric": task.metric},
    }


def _frame(data: Data | HistoryStore, model: ModelConfig) -> pd.DataFrame:
    found = open_log(data, model.time)
    return found.to_frame() if isinstance(found, HistoryStore) else found


def _take_up(study: optuna.Study, trials: int) -> None:
    """Queue again what a killed search has left running: with its lock, no other can be at it."""
    queued = bury(study, running(study))
    ended = len(counted(study))
    if ended or queued:
        again = f"; {queued} had lost their process and are tried again" if queued else ""
        log.info("study %r has %d of %d trials already%s", study.study_name, ended, trials, again)


@contextlib.contextmanager
def _handed_over(task: Task, folder: Path) -> Iterator[None]:
    task.write(folder)
    try:
        yield
    finally:
        remove(folder)


def _teller(study: optuna.Study, run: Run | None) -> Any:
    """Says how each trial has ended, in the log and as a curve of the search's run."""

    from optuna.trial import TrialState

    def ended(number: int, values: Mapping[str, Any], outcome: Outcome) -> None:
        with_values = ", ".join(f"{name}={_short(value)}" for name, value in values.items())
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        best = max(complete, key=lambda trial: (trial.value, -trial.number), default=None)
        what = {
            "complete": f"{outcome.value or 0:.4f} at epoch {(outcome.epoch or 0) + 1}",
            "pruned": "pruned",
            "failed": f"failed: {outcome.error}",
        }[outcome.state]
        lead = "" if best is None else f" (best {best.value:.4f}, trial {best.number})"
        log.info("trial %d: %s%s; %s", number, what, lead, with_values)
        if run is not None and outcome.value is not None and best is not None:
            run.metrics({"tune/value": outcome.value, "tune/best_value": best.value}, step=number)

    return ended


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _keep(run: Run, result: TuneResult) -> None:
    best = result.best(1).iloc[0]
    run.tags({"recattn.best_trial": int(best["trial"]), "recattn.best_run_id": best["run_id"]})
    run.artifact("tune/best.yaml", result.config())
    run.artifact("tables/trials.json", result.trials)
    run.artifact("figures/search.png", result.figure())
