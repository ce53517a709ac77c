"""The thread that sends, with an MLflow that goes away, comes back, or refuses."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.errors import ArtifactError, ConfigError, DataError
from recattn.tracking import unsent
from recattn.tracking.writer import Writer


class Shaky:
    """A client that can be unplugged, or made to refuse some of its calls."""

    def __init__(self, inner: MlflowClient) -> None:
        self.inner, self.plugged, self.refused = inner, True, set[str]()
        self.calls: list[str] = []
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self.calls.append(name)
            self.entered.set()
            assert self.go_on.wait(30)
            if not self.plugged:
                raise ConnectionError("nobody answers at http://ann:hunter2@host")
            if name in self.refused:
                raise PermissionError("the store cannot be written")
            return getattr(self.inner, name)(*given, **named)

        return call


@pytest.fixture
def shaky(client: MlflowClient) -> Shaky:
    return Shaky(client)


@pytest.fixture
def run_id(client: MlflowClient, tmp_path: Path) -> str:
    mlflow.set_tracking_uri(client.tracking_uri)
    experiment = client.create_experiment(tmp_path.name, artifact_location=(tmp_path / "kept").as_uri())
    return client.create_run(experiment).info.run_id


@pytest.fixture
def writer(shaky: Shaky, run_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setattr("recattn.tracking.writer.LONGEST_PAUSE", 0.05)
    made = Writer(shaky, run_id)  # type: ignore[arg-type]
    yield made
    made.stop()
    made.clean()


def steps(client: MlflowClient, run_id: str, name: str) -> list[int]:
    return [point.step for point in client.get_metric_history(run_id, name)]


def test_calls_do_not_wait_for_mlflow_and_what_waits_goes_in_one_call(
    writer: Writer, shaky: Shaky, client: MlflowClient, run_id: str
) -> None:
    shaky.go_on.clear()
    writer.metrics({"loss": 0.0}, step=0)
    assert shaky.entered.wait(30)
    for step in range(1, 50):
        writer.metrics({"loss": 1.0}, step=step)
        writer.tags({"at": step})
    writer.params({f"p{i}": "x" for i in range(230)})
    shaky.go_on.set()
    assert writer.flush(30)
    assert shaky.calls == ["log_batch"] * 4  # the first point; then 230 parameters, 100 a call, with all the rest
    assert steps(client, run_id, "loss") == list(range(50))
    data = client.get_run(run_id).data
    assert data.tags["at"] == "49"
    assert len(data.params) == 230


def test_what_is_logged_while_mlflow_is_away_arrives_in_order_with_one_warning(
    writer: Writer, shaky: Shaky, client: MlflowClient, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    shaky.plugged = False
    for step in range(3):
        writer.metrics({"loss": float(step)}, step=step)
        writer.artifact(f"e{step}.txt", str(step))
    assert not writer.flush(0.3)
    assert writer.away == "nobody answers at http://***@host"
    shaky.plugged = True
    assert writer.flush(30)
    assert writer.away is None
    assert steps(client, run_id, "loss") == [0, 1, 2]
    assert [file.path for file in client.list_artifacts(run_id)] == ["e0.txt", "e1.txt", "e2.txt"]
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == 2
    assert messages[0].startswith(f"MLflow cannot be reached; what run {run_id} logs is kept and sent later")
    assert messages[1] == f"MLflow is back: run {run_id} goes on there."
    assert writer.undelivered() == []


def test_a_call_that_did_arrive_and_is_sent_again_doubles_nothing(
    writer: Writer, client: MlflowClient, shaky: Shaky, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, True])

    def lose_the_answer(*given: Any, **named: Any) -> None:
        client.log_batch(*given, **named)
        if not next(answers, True):
            shaky.plugged = False
            threading.Timer(0.1, lambda: setattr(shaky, "plugged", True)).start()
            raise TimeoutError("no answer")

    monkeypatch.setattr(shaky, "log_batch", lose_the_answer, raising=False)
    writer.metrics({"loss": 0.5}, step=3)
    writer.artifact("t.json", pd.DataFrame({"a": [1, 2]}))
    assert writer.flush(30)
    assert steps(client, run_id, "loss") == [3]
    experiment = client.get_run(run_id).info.experiment_id
    assert client.load_table(experiment, "t.json", [run_id])["a"].tolist() == [1, 2]


def test_files_that_the_store_refuses_stop_nothing_else(
    writer: Writer, shaky: Shaky, client: MlflowClient, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    shaky.refused = {"log_artifact"}
    writer.artifact("a.txt", "a")
    writer.metrics({"loss": 1.0}, step=0)
    writer.artifact("b.txt", "b")
    writer.metrics({"loss": 0.5}, step=1)
    assert writer.flush(30)
    assert steps(client, run_id, "loss") == [0, 1]
    assert [str(note) for note in writer.undelivered()] == ["files a.txt", "files b.txt"]
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [f"MLflow did not take files a.txt of run {run_id}: the store cannot be written"]


def test_of_a_batch_that_is_refused_only_the_note_at_fault_is_lost(
    writer: Writer, shaky: Shaky, client: MlflowClient, run_id: str
) -> None:
    client.log_param(run_id, "dim", 8)
    shaky.go_on.clear()
    writer.metrics({"loss": 0.0}, step=0)
    assert shaky.entered.wait(30)
    writer.metrics({"loss": 1.0}, step=1)
    writer.params({"dim": "16"})  # MLflow never changes one
    writer.metrics({"loss": 2.0}, step=2)
    shaky.go_on.set()
    assert writer.flush(30)
    assert steps(client, run_id, "loss") == [0, 1, 2]
    assert [note.body for note in writer.undelivered()] == [{"params": {"dim": "16"}}]


def test_a_value_without_a_form_is_an_error_of_the_caller(writer: Writer) -> None:
    with pytest.raises(DataError, match="give a DataFrame"):
        writer.artifact("x.txt", object())
    assert writer.undelivered() == []


def test_after_the_end_notes_are_sent_by_the_caller_itself(
    writer: Writer, shaky: Shaky, client: MlflowClient, run_id: str
) -> None:
    writer.stop()
    writer.metrics({"loss": 1.0}, step=0)
    assert steps(client, run_id, "loss") == [0]
    shaky.plugged = False
    with pytest.raises(ConnectionError):
        writer.metrics({"loss": 1.0}, step=1)


def test_stopping_does_not_wait_for_a_call_that_hangs(writer: Writer, shaky: Shaky) -> None:
    shaky.go_on.clear()
    writer.metrics({"loss": 1.0}, step=0)
    assert shaky.entered.wait(30)
    begin = time.monotonic()
    writer.stop()
    assert time.monotonic() - begin < 10
    assert len(writer.undelivered()) == 1
    shaky.go_on.set()


def test_what_is_kept_on_disk_is_sent_later(
    writer: Writer, shaky: Shaky, client: MlflowClient, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shaky.plugged = False
    writer.params({"dim": "8"})
    writer.metrics({"loss": 0.5}, step=2)
    writer.artifact("tables/t.json", pd.DataFrame({"a": ["1"]}))
    assert not writer.flush(0.1)
    writer.stop()
    place = unsent.keep(writer.undelivered(), run_id, "http://ann:hunter2@host")
    writer.clean()
    assert place == Path("recattn-unsent") / run_id
    assert json.loads((place / "run.json").read_text())["tracking_uri"] == "http://***@host"
    assert client.get_run(run_id).data.metrics == {}

    assert unsent.send(place, client.tracking_uri) == run_id
    data = client.get_run(run_id).data
    assert (data.params, data.metrics) == ({"dim": "8"}, {"loss": 0.5})
    assert steps(client, run_id, "loss") == [2]
    table = client.load_table(client.get_run(run_id).info.experiment_id, "tables/t.json", [run_id])
    assert table["a"].astype(str).tolist() == ["1"]
    assert not place.exists()


def test_notes_that_cannot_be_sent_stay_where_they_are(
    writer: Writer, client: MlflowClient, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer.stop()
    client.log_param(run_id, "dim", 8)
    place = unsent.keep([unsent.Note("batch", {"params": {"dim": "9"}})], run_id, client.tracking_uri)
    with pytest.raises(ConfigError, match=rf"did not take 1 params of run {run_id}: .* send it again later"):
        unsent.send(place)
    assert place.exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no unsent notes of a run"):
        unsent.send(tmp_path)
