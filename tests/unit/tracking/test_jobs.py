from __future__ import annotations

import logging
import socket

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.errors import ArtifactError, DataError
from recattn.tracking import jobs
from recattn.tracking.jobs import job_run
from recattn.tracking.privacy import hashed


def only_run(client: MlflowClient, experiment: str):
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    [run] = client.search_runs([found.experiment_id])
    return run


def test_a_job_leaves_figures_tags_and_files_with_ids_hashed(uri: str, client: MlflowClient, tmp_path) -> None:
    with job_run({"k": 3}, {"recattn.job.kind": "recommend"}, experiment="jobs-1", tracking_uri=uri) as outcome:
        outcome.metrics["job/rows"] = 6.0
        outcome.tags["recattn.job.digest"] = "abc"
        outcome.files["job/sample.csv"] = pd.DataFrame({"user_id": ["anna"], "item_id": ["a"]})
    run = only_run(client, "jobs-1")
    assert run.info.status == "FINISHED"
    assert (run.data.params["k"], run.data.metrics["job/rows"]) == ("3", 6.0)
    tags = {name: run.data.tags[f"recattn.job.{name}"] for name in ("kind", "digest", "outcome")}
    assert tags == {"kind": "recommend", "digest": "abc", "outcome": "finished"}
    kept = pd.read_csv(client.download_artifacts(run.info.run_id, "job/sample.csv", str(tmp_path)), dtype=str)
    assert kept["user_id"].tolist() == hashed(pd.Series(["anna"])).tolist()
    assert kept["item_id"].tolist() == ["a"]


def test_a_failed_job_says_why_without_quoting_users(uri: str, client: MlflowClient) -> None:
    class Limit(DataError):
        pass

    def failing(error: Exception, experiment: str) -> None:
        with job_run({}, {}, experiment=experiment, tracking_uri=uri) as outcome:
            outcome.safe = (Limit,)
            raise error

    for number, (error, kept) in enumerate(
        [(DataError("no history of 'anna'"), None), (ArtifactError("disk full"), "disk full"), (Limit("0.9"), "0.9")]
    ):
        with pytest.raises(type(error), match=str(error)):
            failing(error, f"jobs-failed-{number}")
        run = only_run(client, f"jobs-failed-{number}")
        assert (run.info.status, run.data.tags["recattn.job.outcome"]) == ("FAILED", "failed")
        assert run.data.tags.get("recattn.error") == kept
        assert run.data.tags["recattn.error_type"] == type(error).__name__
        assert "anna" not in str(run.data.tags)


def test_a_dead_server_does_not_fail_the_job(monkeypatch, caplog) -> None:
    monkeypatch.setattr(jobs, "WAIT", 0.1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = []
    with socket.socket() as unused, caplog.at_level(logging.WARNING, "recattn"):
        unused.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with job_run({}, {}, experiment="jobs", tracking_uri=where) as outcome:
            outcome.metrics["job/rows"] = 1.0
            done.append(True)
        with pytest.raises(KeyError), job_run({}, {}, experiment="jobs", tracking_uri=where):
            raise KeyError("the job's own")
    assert done == [True]
    assert "the job's run in MLflow is not whole" in caplog.text
    assert mlflow.active_run() is None


def test_a_server_that_comes_back_gets_the_run_at_the_end(uri: str, client, monkeypatch) -> None:
    opened, real = [], jobs.track

    def away_at_first(**how):
        opened.append(how)
        if len(opened) == 1:
            raise ConnectionError("away")
        return real(**how)

    monkeypatch.setattr(jobs, "track", away_at_first)
    with job_run({}, {}, experiment="jobs-late", tracking_uri=uri) as outcome:
        outcome.metrics["job/rows"] = 2.0
    assert only_run(client, "jobs-late").data.metrics["job/rows"] == 2.0
