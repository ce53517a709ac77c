"""A process that trains trial after trial as it is told: `python -m recattn.tuning.worker FOLDER`."""

from __future__ import annotations

import _thread
import contextlib
import json
import math
import os
import queue
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pandas as pd

from recattn.config import ModelConfig, TrainConfig, from_dict
from recattn.errors import ConfigError, RecattnError, TrainingError, nearest
from recattn.observer import Scalar
from recattn.tuning.crew import Outcome, Report
from recattn.tuning.task import Task

if TYPE_CHECKING:
    from recattn.tracking import Run


class Pruned(Exception):
    """The search has ended this trial."""


class Telling:
    """An observer that tells the search of each validated epoch, and everything to the trial's run, if any."""

    def __init__(self, metric: str, report: Report, run: Run | None) -> None:
        self.metric, self.report, self.run = metric, report, run

    def params(self, values: Mapping[str, Scalar]) -> None:
        if self.run is not None:
            self.run.params(values)

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        if self.run is not None:
            self.run.metrics(values, step=step)
        validated = [name for name in values if name.startswith("valid/")]
        if validated and self.metric not in values:
            raise ConfigError(
                f"metric must be one of those of validation, got {self.metric!r}.{nearest(self.metric, validated)} "
                f"There are: {', '.join(sorted(validated))}."
            )
        if validated and not self.report(step, values[self.metric]):
            raise Pruned

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training") -> None:
        if self.run is not None:
            self.run.dataset(name, frame, context)

    def artifact(self, path: str, value: object) -> None:
        if self.run is not None:
            self.run.artifact(path, value)

    def state(self) -> dict[str, str]:
        return {}

    def failed(self, error: BaseException) -> None:
        if self.run is not None and not isinstance(error, Pruned):
            self.run.failed(error)


def run_trial(task: Task, number: int, model: ModelConfig, train: TrainConfig, report: Report) -> Outcome:
    """One trial: a fit, in a run of MLflow where the search has one.

    The value is the metric at the epoch whose weights a fit keeps. A trial that diverges, or needs more memory than
    there is, has failed.

    Raises:
        ConfigError, DataError: Something is wrong with every trial.
    """
    from recattn.recommender import Recommender

    recommender = Recommender(
        model,
        train,
        item_features=task.item_features,
        user_features=task.user_features,
        context_features=task.context_features,
    )
    with _run(task, number) as run:
        run_id = None if run is None else run.id
        try:
            observers = [Telling(task.metric, report, run)]
            recommender.fit(task.train, items=task.items, users=task.users, valid=task.valid, observers=observers)
        except Pruned:
            outcome = Outcome("pruned", run_id=run_id)
        except (TrainingError, MemoryError, RuntimeError) as error:
            if not isinstance(error, TrainingError | MemoryError) and "memory" not in str(error):
                raise
            outcome = Outcome("failed", run_id=run_id, error=f"{type(error).__name__}: {error}")
        else:
            assert recommender.best_epoch is not None
            at = next(epoch for epoch in recommender.curve if epoch["epoch"] == recommender.best_epoch)
            value = at[task.metric]
            outcome = Outcome("complete", value, recommender.best_epoch, run_id)
            if not math.isfinite(value):
                outcome = Outcome("failed", run_id=run_id, error=f"{task.metric} is {value}")
        if run is not None:
            run.status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[outcome.state]
            run.tags({"recattn.trial_state": outcome.state})
    return outcome


@contextlib.contextmanager
def _run(task: Task, number: int) -> Iterator[Run | None]:
    if task.run_id is None:
        yield None
        return
    from recattn.tracking.nested import track_child
    from recattn.tracking.quiet import quiet

    tags = {"recattn.study": task.study, "recattn.trial": number}
    with quiet("mlflow", "alembic"), track_child(task.run_id, f"{task.study} {number}", tags=tags) as run:
        yield run


def serve(task: Task, orders: TextIO, answers: TextIO) -> None:
    """Run every trial that is ordered. Where the orders end in the middle of one, the search is gone: so goes this."""
    lines: queue.Queue[str] = queue.Queue()
    idle = threading.Event()

    def read() -> None:
        for line in orders:
            lines.put(line)
        lines.put("")
        if not idle.is_set():
            _thread.interrupt_main()

    def say(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def report(epoch: int, value: float) -> bool:
        say({"epoch": epoch, "value": value})
        reply = lines.get()
        if not reply:
            raise KeyboardInterrupt
        return bool(json.loads(reply)["go"])

    idle.set()
    threading.Thread(target=read, daemon=True).start()
    while order := lines.get():
        idle.clear()
        asked = json.loads(order)
        settings = from_dict(ModelConfig, asked["model"]), from_dict(TrainConfig, asked["train"])
        try:
            outcome = run_trial(task, asked["number"], *settings, report)
        except RecattnError as error:
            say({"wrong": type(error).__name__, "error": str(error)})
            return
        idle.set()
        say(vars(outcome))


def main(folder: str) -> None:
    """The process; what others print must not get between its answers, so stdout is theirs no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if threads := os.environ.get("RECATTN_THREADS"):
        import torch

        torch.set_num_threads(int(threads))
    serve(Task.read(Path(folder)), sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1])
