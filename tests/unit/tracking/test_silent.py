"""Processes of a distributed fit that write nothing."""

from __future__ import annotations

import inspect

import pytest
from mlflow import MlflowClient

from recattn.observer import Observer
from recattn.tracking import Run, track
from recattn.tracking.silent import SilentRun, is_first_process


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_only_the_first_process_has_a_run(uri: str, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "0")
    assert is_first_process()
    monkeypatch.setenv(variable, "1")
    assert not is_first_process()
    with track(f"silent {variable}", tracking_uri=uri) as run:
        assert isinstance(run, Observer)
        run.params({"dim": 8})
        run.metrics({"loss": 1.0}, step=0)
        assert run.flush()
        assert run.state() == {}
    assert MlflowClient(uri).get_experiment_by_name(f"silent {variable}") is None


def test_a_silent_run_takes_every_call_of_a_run() -> None:
    said = {name for name, value in inspect.getmembers(Run, callable) if not name.startswith("_")}
    loud = {name for name in said if getattr(SilentRun, name) is getattr(Run, name)}
    assert loud == set()
    assert SilentRun().away is False
