"""Who counts as dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

from recattn.tracking import stale


def beat(**changes: object) -> dict[str, object]:
    values = json.loads(stale.heartbeat())
    return {**values, "time": time.time(), **changes}


def test_this_process_lives_however_old_its_sign() -> None:
    assert stale.is_alive(beat(time=0.0), now=1e9)


def test_a_process_that_ended_is_dead_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not stale.is_alive(beat(pid=child.pid, started="1"), now=time.time())


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    deadline = time.monotonic() + 10
    while stale.process_mark(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stale.process_mark(child.pid) == ""
    child.wait()


def test_another_process_under_the_same_pid_is_not_the_one() -> None:
    assert not stale.is_alive(beat(started="1"), now=time.time())


@pytest.mark.parametrize(("age", "alive"), [(stale.OLD_SECONDS - 1, True), (stale.OLD_SECONDS + 1, False)])
def test_elsewhere_the_hour_decides(age: float, alive: bool) -> None:
    assert stale.is_alive(beat(machine="other", time=1e9), now=1e9 + age) is alive


def test_without_a_process_table_the_hour_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "process_mark", lambda pid: None)
    assert stale.is_alive(beat(time=1e9), now=1e9 + 10)
    assert not stale.is_alive(beat(time=1e9), now=1e9 + stale.OLD_SECONDS)


def running(client: MlflowClient, experiment: str, tag: str | None) -> str:
    run = client.create_run(experiment, tags={} if tag is None else {stale.HEARTBEAT: tag})
    return run.info.run_id


def test_only_our_own_dead_runs_are_closed(client: MlflowClient) -> None:
    experiment = client.create_experiment("stale runs")
    dead = json.dumps({**json.loads(stale.heartbeat()), "started": "1"})
    expected = running(client, experiment, dead)
    resumed = running(client, experiment, dead)
    for tag in (None, "not ours", stale.heartbeat()):
        running(client, experiment, tag)
    assert stale.close_stale(client, experiment, but=resumed) == [expected]
    states = {run.info.run_id: run.info.status for run in client.search_runs([experiment])}
    assert [run for run, state in states.items() if state == "FAILED"] == [expected]
    assert stale.close_stale(client, experiment, but=resumed) == []


def test_a_sign_of_life_names_this_process() -> None:
    values = json.loads(stale.heartbeat())
    assert values["pid"] == os.getpid()
    assert values["machine"] == stale.machine()
