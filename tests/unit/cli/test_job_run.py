from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.jobs import open_output
from recattn.recommender import Recommender
from recattn.tracking import track


@pytest.fixture
def ask(model: Path, files: Path) -> list[object]:
    history, slate = files / "interactions.parquet", files / "candidates.csv"
    return ["score", "--model", model, "--history", history, "--slate", slate, "--threads", "1"]


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_news_as_json_are_json_from_the_first_line_to_the_last(recattn, ask, files: Path) -> None:
    rows = len(pd.read_csv(files / "candidates.csv"))
    done = recattn(*ask, "--out", "scores", "--log_format", "json", "--rows_a_part", str(-(-rows // 2)))
    assert done.status == 0, done.err
    told = lines(done.err)
    events = [line["event"] for line in told]
    assert [event for event in events if event != "message"] == ["start", "part", "part", "finished"]
    parts = [line for line in told if line["event"] == "part"]
    assert [(part["part"], part["done"], part["total"]) for part in parts] == [
        (0, -(-rows // 2), rows),
        (1, rows, rows),
    ]
    assert all(part["rate"] > 0 for part in parts)
    assert parts[1]["eta"] == 0
    assert next(line for line in told if line["event"] == "finished")["facts"]["rows"] == rows
    again = recattn(*ask, "--out", "scores", "--log_format", "json", "--stage", "retrieval")
    assert again.status == 1
    failed = lines(again.err)[-1]
    assert (failed["level"], failed["event"], failed["error"]) == ("error", "failed", "ArtifactError")
    assert lines(recattn(*ask, "--out", "s", "--memory_budget", "1MB", "--log_format", "json").err)[-1]["error"] == (
        "ConfigError"
    )
    assert "rows in 2 parts" not in recattn(*ask, "--out", "scores").err  # and text afterwards


def test_a_limit_fails_the_command_and_another_publishes(recattn, ask) -> None:
    failed = recattn(*ask, "--out", "scores", "--fail_if.no_history", "0", "--as_of", "1980-01-01")
    assert failed.status == 1
    assert "100.00% of the requests see no interaction (fail_if.no_history: 0.00%)" in failed.err
    assert not Path("scores/_SUCCESS").exists()
    assert recattn(*ask, "--out", "scores", "--as_of", "1980-01-01").status == 0
    assert Path("scores/_SUCCESS").exists()
    wrong = recattn(*ask, "--out", "other", "--fail_if.no_history", "20")
    assert (wrong.status, "a share from 0 to 1" in wrong.err) == (2, True)
    file = recattn(*ask, "--out", "scores.csv", "--fail_if.no_history", "0.2")
    assert (file.status, "fail_if is for results in a folder" in file.err) == (2, True)


def test_a_job_with_a_registered_model_is_a_run_linked_to_its_version(recattn, ask, model: Path, tmp_path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with track("train", tracking_uri=uri, system_metrics=False) as training:
        training.log_model(Recommender.load(model), registered_model_name="books")
        trained_by = training.id
    client = MlflowClient(uri)
    client.set_registered_model_alias("books", "champion", "1")
    asked = [*ask[:2], "models:/books@champion", *ask[3:], "--tracking_uri", uri, "--tracking.enabled", "true"]
    done = recattn(*asked, "--out", "scores")
    assert done.status == 0, done.err
    assert "models:/books@champion is version books/1" in done.err
    experiment = client.get_experiment_by_name("recattn-jobs")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    found = client.get_run(run.info.run_id)
    tags = found.data.tags
    assert (tags["recattn.job.model_version"], tags["recattn.job.trained_by"]) == ("books/1", trained_by)
    assert found.data.params["model"] == "models:/books@champion"
    version = client.get_model_version("books", "1")
    assert version.tags["recattn.job.last_run"] == found.info.run_id
    assert [one.model_id for one in found.inputs.model_inputs] == [version.source.removeprefix("models:/")]
    metrics = found.data.metrics
    assert metrics["job/rows"] == open_output("scores").count_rows()
    assert metrics["job/drift"] >= 0
    assert {"job/rows_per_second", "job/unknown_items", "job/no_history", "job/score_p50"} <= metrics.keys()
    path = client.download_artifacts(found.info.run_id, "job/sample.parquet", str(tmp_path))
    users = pd.read_parquet(path)["user_id"]
    assert users.str.fullmatch("[0-9a-f]{16}").all()
    mlflow.set_tracking_uri(None)


def test_a_job_has_no_run_unless_it_is_asked_for(recattn, ask) -> None:
    assert recattn(*ask, "--out", "scores").status == 0
    assert not Path("mlflow.db").exists()
