"""The `with` block of a run: where it goes, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from recattn.errors import ConfigError
from recattn.observer import Observer
from recattn.tracking import Run, track, unsent

KILLED = """
import os, signal, sys
from recattn.tracking import track
with track("killed", "victim", tracking_uri=sys.argv[1]) as run:
    run.metrics({"train/loss": 1.5}, step=0)
    print(run.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def status(client: MlflowClient, run: Run | str) -> str:
    return client.get_run(run if isinstance(run, str) else run.id).info.status


def test_a_block_that_ends_well_is_a_finished_run(uri: str, client: MlflowClient) -> None:
    with track("session", "base", tracking_uri=uri, tags={"data": "sample", "seed": 3}) as run:
        assert isinstance(run, Observer)
        assert status(client, run) == "RUNNING"
        assert run.state() == {"mlflow_run_id": run.id}
    ended = client.get_run(run.id)
    assert ended.info.status == "FINISHED"
    assert ended.info.run_name == "base"
    assert client.get_experiment(ended.info.experiment_id).name == "session"
    assert ended.data.tags["data"] == "sample"
    assert ended.data.tags["seed"] == "3"
    assert "recattn.heartbeat" not in ended.data.tags


def test_mlflow_is_left_as_it_was_found(uri: str) -> None:
    with track("session", tracking_uri=uri) as run:
        assert mlflow.active_run().info.run_id == run.id
        assert mlflow.get_tracking_uri() == uri
    assert mlflow.active_run() is None
    assert not mlflow.is_tracking_uri_set()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_an_error_ends_the_run_failed_with_type_and_scrubbed_message(uri: str, client: MlflowClient) -> None:
    with pytest.raises(ValueError, match="loss"), track("session", tracking_uri=uri) as run:
        raise ValueError("loss is nan; see http://ann:hunter2@host/x, password=swordfish")
    ended = client.get_run(run.id)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["recattn.error_type"] == "ValueError"
    assert ended.data.tags["recattn.error"] == "loss is nan; see http://***@host/x, password=***"


def test_an_interrupt_ends_the_run_failed(uri: str, client: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), track("session", tracking_uri=uri) as run:
        raise KeyboardInterrupt
    assert status(client, run) == "FAILED"
    assert client.get_run(run.id).data.tags["recattn.error"] == "KeyboardInterrupt"


def test_a_clean_exit_of_the_program_is_no_failure(uri: str, client: MlflowClient) -> None:
    with pytest.raises(SystemExit), track("session", tracking_uri=uri) as run:
        sys.exit(0)
    assert status(client, run) == "FINISHED"


def test_a_failed_fit_marks_the_run_even_when_the_error_is_caught(uri: str, client: MlflowClient) -> None:
    with track("session", tracking_uri=uri) as run:
        run.failed(RuntimeError("no last good checkpoint"))
    assert status(client, run) == "FAILED"


def test_an_active_run_is_joined_and_left_open(uri: str, client: MlflowClient) -> None:
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run() as mine:
        with track("elsewhere", tags={"joined": "yes"}) as run:
            assert run.id == mine.info.run_id
        assert status(client, run) == "RUNNING"
        assert mlflow.active_run().info.run_id == mine.info.run_id
        tags = client.get_run(run.id).data.tags
        assert tags["joined"] == "yes"
        assert "recattn.heartbeat" not in tags
    assert client.get_experiment_by_name("elsewhere") is None


def test_a_block_inside_a_block_leaves_the_outer_heartbeat(uri: str, client: MlflowClient) -> None:
    with track("session", tracking_uri=uri) as outer:
        with track("session") as inner:
            assert inner.id == outer.id
        assert "recattn.heartbeat" in client.get_run(outer.id).data.tags


def test_joining_a_run_of_another_mlflow_is_refused(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    with (
        mlflow.start_run(),
        pytest.raises(ConfigError, match=r"is active in .* but tracking_uri is http://\*\*\*@other"),
        track(tracking_uri="http://ann:hunter2@other"),
    ):
        pass


def test_a_run_ended_by_the_users_own_code_gets_its_status_all_the_same(uri: str, client: MlflowClient) -> None:
    with track("session", tracking_uri=uri) as run:
        mlflow.end_run()
        run.failed(OSError("gone"))
    assert status(client, run) == "FAILED"


def test_a_killed_processs_run_is_closed_by_the_next_track(uri: str, client: MlflowClient) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, uri], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    victim = done.stdout.strip()
    assert status(client, victim) == "RUNNING"
    with track("another experiment", tracking_uri=uri):
        assert status(client, victim) == "RUNNING"
    with track("killed", tracking_uri=uri) as run:
        assert status(client, run) == "RUNNING"
    ended = client.get_run(victim)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["recattn.closed_as"] == "stale"
    assert ended.info.end_time <= client.get_run(run.id).info.start_time


def test_a_run_gives_signs_of_life_between_distant_metrics(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    beaten = threading.Event()
    monkeypatch.setattr("recattn.tracking.stale.BEAT_SECONDS", 0.01)
    monkeypatch.setattr(Run, "beat", lambda run: beaten.set())
    with track("session", tracking_uri=uri):
        assert beaten.wait(30)
    assert "recattn-heartbeat" not in {thread.name for thread in threading.enumerate()}


def resumable(folder: Path, state: object) -> Path:
    (folder / "observers.json").write_text(state if isinstance(state, str) else json.dumps(state))
    return folder


def test_a_resumed_run_goes_on_under_its_id(uri: str, client: MlflowClient, tmp_path: Path) -> None:
    with track("resumed", tracking_uri=uri) as first:
        first.params({"dim": 64})
        first.metrics({"valid/ndcg_at_10": 0.10}, step=0)
        first.failed(RuntimeError("power"))
    with track("ignored", tracking_uri=uri, resume_from=resumable(tmp_path, first.state())) as second:
        assert second.id == first.id
        assert status(client, second) == "RUNNING"
        second.params({"dim": 64})
        second.metrics({"valid/ndcg_at_10": 0.10}, step=0)
        second.metrics({"valid/ndcg_at_10": 0.12}, step=1)
    ended = client.get_run(first.id)
    assert ended.info.status == "FINISHED"
    assert "recattn.error" not in ended.data.tags
    history = client.get_metric_history(first.id, "valid/ndcg_at_10")
    assert [(point.step, point.value) for point in history] == [(0, 0.10), (1, 0.12)]


def test_a_changed_setting_on_resume_warns_and_the_old_one_stays(
    uri: str, client: MlflowClient, tmp_path: Path
) -> None:
    with track("resumed", tracking_uri=uri) as first:
        first.params({"dim": 64})
    folder = resumable(tmp_path, first.state())
    with (
        track(tracking_uri=uri, resume_from=folder) as second,
        pytest.warns(UserWarning, match=r"began with dim=64; it is 32 now"),
    ):
        second.params({"dim": 32, "num_heads": 2})
    assert client.get_run(first.id).data.params == {"dim": "64", "num_heads": "2"}


def test_a_run_is_resumed_whatever_experiment_is_set(
    uri: str, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    with track("resumed", tracking_uri=uri) as first:
        pass
    mlflow.set_tracking_uri(uri)
    other = mlflow.set_experiment("mine").experiment_id
    with track(resume_from=resumable(tmp_path, first.state())) as second:
        assert second.id == first.id
    with mlflow.start_run() as mine:
        assert mine.info.experiment_id == other


def test_nothing_to_resume_from_begins_a_new_run(uri: str, tmp_path: Path) -> None:
    with track("resumed", tracking_uri=uri, resume_from=tmp_path / "not there") as run:
        assert run.id


@pytest.mark.parametrize("state", ["{", {"other": 1}, {"mlflow_run_id": "0" * 32}])
def test_a_state_that_leads_to_no_run_warns_and_begins_a_new_one(uri: str, tmp_path: Path, state: object) -> None:
    with (
        pytest.warns(UserWarning, match=r"observers\.json leads to no run .* a new one begins"),
        track("resumed", tracking_uri=uri, resume_from=resumable(tmp_path, state)) as run,
    ):
        assert run.id != "0" * 32


def test_a_deleted_run_is_not_resumed(uri: str, client: MlflowClient, tmp_path: Path) -> None:
    with track("resumed", tracking_uri=uri) as first:
        pass
    client.delete_run(first.id)
    folder = resumable(tmp_path, first.state())
    with (
        pytest.warns(UserWarning, match="is deleted; a new one begins"),
        track("resumed", tracking_uri=uri, resume_from=folder) as second,
    ):
        assert second.id != first.id


def test_a_run_that_a_living_process_writes_to_cannot_be_resumed(
    uri: str, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with track("resumed", tracking_uri=uri) as first:
        monkeypatch.setattr("recattn.tracking.stale.os.getpid", lambda: os.getppid())
        first.beat()
        first.flush()
        monkeypatch.undo()
        mlflow.end_run("RUNNING")
        folder = resumable(tmp_path, first.state())
        with (
            pytest.raises(ConfigError, match=f"cannot be resumed: a living process.*pid {os.getppid()}"),
            track(tracking_uri=uri, resume_from=folder),
        ):
            pass


def test_a_deleted_experiment_is_an_error_that_says_so(uri: str, client: MlflowClient) -> None:
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(ConfigError, match="Experiment 'gone' is deleted"), track("gone", tracking_uri=uri):
        pass
    assert mlflow.active_run() is None


def test_a_database_that_cannot_be_used_is_an_error_at_once(uri: str, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all" * 100)
    (tmp_path / "file").write_text("")
    for path, reason in (("mlflow.db", "file is not a database"), ("file/mlflow.db", "Not a directory|File exists")):
        with (
            pytest.raises(ConfigError, match=rf"MLflow at sqlite:.*{path} cannot be used: .*({reason})"),
            track(tracking_uri=f"sqlite:///{tmp_path}/{path}"),
        ):
            pass


def test_an_mlflow_that_cannot_be_used_is_an_error_without_its_password(uri: str, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"MLflow at nonsense://\*\*\*@host cannot be used"),
        track(tracking_uri="nonsense://ann:hunter2@host"),
    ):
        pass


def test_an_mlflow_that_stays_away_stops_nothing_and_the_rest_is_kept(
    uri: str, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as cut, track("session", tracking_uri=uri, wait=0.2) as run:
        run.metrics({"train/loss": 1.0}, step=0)
        assert run.flush()
        cut.setattr("recattn.tracking.notes.send", nobody)
        cut.setattr("recattn.tracking.writer.Writer._answers", lambda _: False)
        cut.setattr("mlflow.MlflowClient.set_terminated", nobody)
        run.metrics({"train/loss": 0.5}, step=1)
        assert not run.flush(0.2)
        assert run.away
    assert status(client, run) == "RUNNING"
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.partition(" run ")[0] for message in messages] == [
        "MLflow cannot be reached; what",
        "waiting up to 0 s for MLflow to come back; Ctrl-C ends the waiting",
        "MLflow did not get all of",
    ]
    assert messages[-1].endswith(f"send it with: recattn runs --send recattn-unsent/{run.id}")
    assert mlflow.active_run() is None

    unsent.send(tmp_path / "recattn-unsent" / run.id)
    ended = client.get_run(run.id)
    assert ended.info.status == "FINISHED"
    assert "recattn.heartbeat" not in ended.data.tags
    assert [point.value for point in client.get_metric_history(run.id, "train/loss")] == [1.0, 0.5]
