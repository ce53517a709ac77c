"""The handing out of trials, with lanes that only pretend to train."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from recattn.config import ModelConfig, TrainConfig
from recattn.errors import ConfigError, DataError, TrainingError
from recattn.tuning.crew import LaneLost, Outcome, Report
from recattn.tuning.search import Search
from recattn.tuning.space import Settings, Space
from recattn.tuning.study import VOID, counted, make_pruner

SPACE = Space.read({"train.learning_rate": {"low": 0.0, "high": 1.0}})


class Pretended:
    """A lane whose trial reaches its learning rate: a third of it an epoch, for three."""

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        self.before, self.closed = before, False

    def run(self, number: int, settings: Settings, report: Report) -> Outcome:
        self.before(number)
        rate = settings[1].learning_rate
        for epoch in range(3):
            if not report(epoch, rate * (epoch + 1) / 3):
                return Outcome("pruned")
        return Outcome("complete", rate, 2)

    def close(self) -> None:
        self.closed = True


def search(trials: int, space: Space = SPACE, pruner: Any = "none", **more: Any) -> Search:
    study = optuna.create_study(direction="maximize", pruner=make_pruner(pruner, 3))
    return Search(study, space, ModelConfig(), TrainConfig(seed=5), trials, **more)


def rates(made: Search) -> list[float]:
    return [trial.params["train.learning_rate"] for trial in counted(made.study)]


def test_bad_trials_are_pruned_and_good_ones_are_not() -> None:
    made = search(30, pruner={"kind": "median", "startup_trials": 3, "warmup_epochs": 1}, sampler="random")
    made.run([Pretended()])
    pruned = [trial for trial in made.study.trials if trial.state.name == "PRUNED"]
    assert len(pruned) >= 8
    assert {trial.last_step for trial in pruned} == {2}  # the first epoch is spared
    assert max(trial.params["train.learning_rate"] for trial in pruned) < made.study.best_value


def test_a_seed_gives_the_same_trials_and_a_stop_between_changes_nothing() -> None:
    whole, parts = search(14), search(6)
    whole.run([Pretended()])
    parts.run([Pretended()])
    parts.trials = 14
    parts.run([Pretended()])
    assert rates(whole) == rates(parts)
    assert len(set(rates(whole))) == 14


def test_lanes_share_the_trials() -> None:
    taken: list[str] = []
    lanes = [Pretended(lambda _, name=name: (taken.append(name), time.sleep(0.02))[0]) for name in "ab"]  # type: ignore[misc]
    made = search(12)
    made.run(lanes)
    assert (len(made.study.trials), set(taken)) == (12, {"a", "b"})


def test_the_trial_of_a_lost_lane_is_tried_again_by_another() -> None:
    def breaks(number: int) -> None:
        raise LaneLost("worker 1 was ended by SIGKILL.")

    made = search(4)
    made.run([Pretended(breaks), Pretended(lambda _: time.sleep(0.05))])
    lost = [trial for trial in made.study.trials if VOID in trial.user_attrs]
    again = [trial for trial in made.study.trials if trial.user_attrs.get("retry_of") == lost[0].number]
    assert [trial.params for trial in again] == [lost[0].params]
    assert [trial.state.name for trial in counted(made.study)] == ["COMPLETE"] * 4
    with pytest.raises(TrainingError, match=r"SIGKILL\. No worker is left\. The same command goes on"):
        search(4).run([Pretended(breaks)])


def test_what_is_wrong_with_every_trial_ends_the_search() -> None:
    def refuses(number: int) -> None:
        raise DataError("train has no rows.")

    lane, made = Pretended(refuses), search(4)
    with pytest.raises(DataError, match="no rows"):
        made.run([lane])
    assert (lane.closed, len(made.study.trials)) == (True, 1)


def test_no_trial_begins_after_the_timeout() -> None:
    made = search(100, timeout=0.3)
    made.run([Pretended(lambda _: time.sleep(0.1))])
    assert 1 <= len(made.study.trials) <= 4


def test_settings_that_do_not_fit_together_are_drawn_again_and_do_not_count() -> None:
    space = Space.read({"model.dim": {"choices": [8, 9]}, "model.num_heads": {"choices": [1, 2, 4]}})
    made = search(8, space)
    made.run([Pretended()])
    void = [trial.user_attrs[VOID] for trial in made.study.trials if VOID in trial.user_attrs]
    assert (len(counted(made.study)), len(made.study.trials)) == (8, 8 + len(void))
    assert void
    never = Space.read({"model.dim": {"choices": [9]}, "model.num_heads": {"choices": [2]}})
    with pytest.raises(ConfigError, match="200 draws in a row were impossible"):
        search(8, never).run([Pretended()])
