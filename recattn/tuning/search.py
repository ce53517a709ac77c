"""A whole search: trials handed out to workers until there are enough."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from recattn.config import ModelConfig, TrainConfig
from recattn.errors import ConfigError, RecattnError, TrainingError
from recattn.tuning.crew import Lane, LaneLost, Outcome
from recattn.tuning.space import Settings, Space
from recattn.tuning.study import ERROR, VOID, Spec, bury, counted, make_sampler, next_seed, running

if TYPE_CHECKING:
    import optuna

log = logging.getLogger("recattn")
IMPOSSIBLE_IN_A_ROW = 200


@dataclass
class Search:
    """Trials of one study, handed out to lanes: each lane runs one at a time.

    `ended` is told of every trial that has: its number, values and outcome.
    """

    study: optuna.Study
    space: Space
    model: ModelConfig
    train: TrainConfig
    trials: int
    timeout: float | None = None
    sampler: Spec = "tpe"
    ended: Callable[[int, Mapping[str, Any], Outcome], None] = lambda number, values, outcome: None
    _lock: Any = field(default_factory=threading.RLock)
    _stop: bool = False
    _deadline: float = math.inf

    def run(self, lanes: Sequence[Lane]) -> None:
        """All trials that are left.

        Raises:
            RecattnError: What is wrong with any trial, such as the data. Trials that diverge, or need more memory
                than there is, only fail.
            TrainingError: The last lane is lost.
        """
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout
        lost: list[LaneLost] = []
        with ThreadPoolExecutor(len(lanes)) as pool:
            working = [pool.submit(self._work, lane, len(lanes) > 1) for lane in lanes]
            try:
                for done in as_completed(working):
                    try:
                        done.result()
                    except LaneLost as error:
                        log.warning("%s", error)
                        lost.append(error)
            except BaseException:
                self._stop = True
                for lane in lanes:
                    lane.close()
                raise
        if len(lost) == len(lanes):
            raise TrainingError(f"{lost[-1]} No worker is left. The same command goes on where this one ended.")

    def _work(self, lane: Lane, parallel: bool) -> None:
        while (claim := self._claim(parallel)) is not None:
            trial, settings = claim
            try:
                outcome = lane.run(trial.number, settings, partial(self._report, trial))
            except LaneLost:
                with self._lock:
                    if not self._stop:  # else the next search buries it
                        bury(self.study, [one for one in running(self.study) if one.number == trial.number])
                raise
            except RecattnError as error:
                with self._lock:
                    self._tell(trial, Outcome("failed", error=str(error)))
                raise
            with self._lock:
                self._tell(trial, outcome)

    def _claim(self, parallel: bool) -> tuple[optuna.Trial, Settings] | None:
        """The next trial with its settings; None when there are enough, or the time is up."""
        from optuna.trial import TrialState

        with self._lock:
            reason = ""
            for _ in range(IMPOSSIBLE_IN_A_ROW):
                if self._stop or time.monotonic() >= self._deadline or len(counted(self.study)) >= self.trials:
                    return None
                self.study.sampler = make_sampler(
                    self.sampler, next_seed(self.study, self.train.seed), parallel=parallel
                )
                trial = self.study.ask(self.space.distributions())
                try:
                    return trial, self.space.settings(trial.params, self.model, self.train)
                except ConfigError as error:
                    log.debug("trial %d cannot be: %s", trial.number, error)
                    reason = str(error)
                    trial.set_user_attr(VOID, reason)
                    self.study.tell(trial, state=TrialState.PRUNED)
            raise ConfigError(f"space: {IMPOSSIBLE_IN_A_ROW} draws in a row were impossible, the last since {reason}")

    def _report(self, trial: optuna.Trial, epoch: int, value: float) -> bool:
        """Take a trial's value after `epoch` (0-based); whether it may go on."""
        with self._lock:
            trial.report(value, epoch + 1)
            return not trial.should_prune()

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        notes = {"run_id": outcome.run_id, "epoch": outcome.epoch, ERROR: outcome.error}
        for name, note in notes.items():
            if note is not None:
                trial.set_user_attr(name, note)
        if outcome.state == "complete":
            self.study.tell(trial, outcome.value)
        else:
            self.study.tell(trial, state=TrialState.PRUNED if outcome.state == "pruned" else TrialState.FAIL)
        self.ended(trial.number, trial.params, outcome)
