"""Tests of what logging costs, as a figure; a real server that is stopped and started again, nothing is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

import recattn as ra
from pipelines.benchmark.tracking_cost import Timed, serving, tracked_fit
from recattn.dataset.synthetic import make_world
from recattn.observer import Observer


@pytest.fixture(scope="module")
def split() -> ra.Split:
    return ra.split_by_time(make_world(n_users=30, seed=0).interactions)


def test_a_timed_observer_passes_all_on_and_tells_of_epochs() -> None:
    class Inner:
        def __init__(self) -> None:
            self.told: list[object] = []

        def metrics(self, values: object, *, step: int) -> None:
            self.told.append((values, step))

    inner, epochs = Inner(), list[int]()
    timed = Timed(inner, epochs.append)
    assert isinstance(timed, Observer)
    timed.metrics({"train/loss": 1.0}, step=3)
    timed.metrics({"cost/fit_seconds": 1.0}, step=0)
    assert inner.told == [({"train/loss": 1.0}, 3), ({"cost/fit_seconds": 1.0}, 0)]
    assert epochs == [3]
    assert timed.seconds > 0


def test_nothing_is_lost_while_a_server_is_stopped_and_started_again(split: ra.Split, tmp_path: Path) -> None:
    with serving(tmp_path) as server:

        def interrupt(epoch: int) -> None:
            if epoch == 0:
                server.stop()
            elif epoch == 2:
                server.start()

        told = tracked_fit(split, 4, server.uri, interrupt)
    assert (told["epochs in MLflow"], told["status"]) == ("True", "FINISHED")
    assert told["files"] == 3
    assert told["in calls"] < told["fit"]
