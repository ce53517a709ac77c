"""`recattn runs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from recattn.cli.main import main
from recattn.tracking import track, unsent
from recattn.tracking.notes import Note


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('runs') / 'mlflow.db'}"


@pytest.fixture(scope="module", autouse=True)
def run_id(uri: str) -> Iterator[str]:
    with track("books", "base", tracking_uri=uri) as run:
        run.metrics({"test/ndcg_at_10": 0.25}, step=0)
    yield run.id
    mlflow.set_tracking_uri(None)


def test_runs_are_a_table(uri: str, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "books", "--tracking_uri", uri]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "name", "status", "started", "test/ndcg_at_10"]
    assert row.split()[:3] == [run_id, "base", "FINISHED"]
    assert row.split()[-1] == "0.2500"


def test_runs_are_json(uri: str, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--tracking_uri", uri, "--sort", "ndcg_at_10", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["run_id"], run["metrics"]) == (run_id, {"test/ndcg_at_10": 0.25})


def test_what_a_run_could_not_send_is_sent(
    uri: str, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    place = unsent.keep([Note("batch", {"tags": {"late": "yes"}})], run_id, uri)
    assert main(["runs", "--send", str(place)]) == 0
    assert capsys.readouterr().out == f"sent to run {run_id}\n"
    assert mlflow.MlflowClient(uri).get_run(run_id).data.tags["late"] == "yes"


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["book"], 2, "there is no experiment 'book'. Did you mean 'books'?"),
        (["books", "--sort", "ndgc"], 2, "no run has the metric 'ndgc'"),
        (["--n", "0"], 2, "n must be a whole number of at least 1, got 0."),
        (["--send", "nowhere"], 1, "nowhere holds no unsent notes of a run"),
    ],
)
def test_wrong_input_is_one_line(
    uri: str, given: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", *given, "--tracking_uri", uri]) == status
    assert message in capsys.readouterr().err
