"""What a run keeps of what it is told."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.errors import ConfigError
from recattn.evaluation import Report
from recattn.tracking import Run, track
from recattn.tracking.privacy import hashed


def kept(run: Run, path: str) -> Path:
    return Path(MlflowClient(run.tracking_uri).download_artifacts(run.id, path))


@pytest.fixture
def report() -> Report:
    return Report(
        summary={"ndcg_at_10": 0.25, "recall_at_20": 0.5},
        per_request=pd.DataFrame({"request_id": [0, 1], "user_id": ["ann", "bob"], "ndcg_at_10": [0.0, 0.5]}),
        policy={"key": "request_id", "k": "10, 20", "seen": "keep", "truth_sha256": "ab" * 32, "requests": 2},
    )


def test_metrics_with_an_at_sign_are_spelt_out(uri: str, client: MlflowClient) -> None:
    with track("run", tracking_uri=uri) as run:
        run.metrics({"valid/ndcg@10": 0.5, "train/loss": np.float32(1.5)}, step=3)
    points = client.get_metric_history(run.id, "valid/ndcg_at_10")
    assert [(point.step, point.value) for point in points] == [(3, 0.5)]
    assert client.get_run(run.id).data.metrics["train/loss"] == 1.5


def test_two_metrics_that_become_one_name_are_refused(uri: str) -> None:
    with (
        track("run", tracking_uri=uri) as run,
        pytest.raises(ConfigError, match="'ndcg@10', 'ndcg_at_10' are both 'ndcg_at_10'"),
    ):
        run.metrics({"ndcg@10": 0.5, "ndcg_at_10": 0.5}, step=0)


def test_numbers_that_are_none_are_named_and_left_out(uri: str, client: MlflowClient) -> None:
    with track("run", tracking_uri=uri) as run:
        run.metrics({"train/loss": math.nan, "train/grad": math.inf, "valid/hits": 3}, step=7)
    data = client.get_run(run.id).data
    assert data.metrics == {"valid/hits": 3.0}
    assert data.tags["recattn.not_finite"] == "train/loss=nan at step 7; train/grad=inf at step 7"


def test_a_run_says_which_code_made_it(uri: str, client: MlflowClient) -> None:
    with track("run", tracking_uri=uri) as run:
        run.artifact("config.json", {"model": {"dim": 8}})
    tags = client.get_run(run.id).data.tags
    assert {"recattn.version", "recattn.python", "recattn.torch", "recattn.pandas"} <= set(tags)
    assert len(tags["recattn.config"]) == 16
    config = kept(run, "config.json")
    assert json.loads(config.read_text()) == {"model": {"dim": 8}}


def test_more_settings_than_one_call_takes_are_all_kept(uri: str, client: MlflowClient) -> None:
    with track("run", tracking_uri=uri) as run:
        run.params({f"p{i}": i for i in range(230)})
    assert len(client.get_run(run.id).data.params) == 230


def test_a_report_is_metrics_rules_and_hashed_rows(uri: str, client: MlflowClient, report: Report) -> None:
    with track("run", tracking_uri=uri) as run:
        run.log(report)
    data = client.get_run(run.id).data
    assert data.metrics == {"test/ndcg_at_10": 0.25, "test/recall_at_20": 0.5}
    assert data.tags["recattn.test.k"] == "10, 20"
    assert data.tags["recattn.test.truth_sha256"] == "ab" * 8
    policy = json.loads(kept(run, "test/policy.json").read_text())
    assert policy == {**report.policy, "hashed_ids": True}
    rows = pd.read_parquet(kept(run, "test/per_request.parquet"))
    assert rows["user_id"].tolist() == hashed(report.per_request["user_id"]).tolist()
    assert "ann" not in rows.to_csv()
    assert rows["ndcg_at_10"].tolist() == [0.0, 0.5]
    assert report.per_request["user_id"].tolist() == ["ann", "bob"]


def test_ids_stay_readable_where_that_is_asked_for(uri: str, report: Report) -> None:
    with track("run", tracking_uri=uri) as run:
        run.log(report, "valid", hash_ids=False)
    rows = pd.read_parquet(kept(run, "valid/per_request.parquet"))
    pd.testing.assert_frame_equal(rows, report.per_request, check_dtype=False)


def test_sample_recommendations_have_titles_and_no_user_ids(uri: str, client: MlflowClient) -> None:
    lists = pd.DataFrame(
        {
            "user_id": ["ann", "ann", "bob", "cat"],
            "item_id": [10, 11, 12, 10],
            "score": [2.0, 1.0, 3.0, 4.0],
            "rank": [1, 2, 1, 1],
        }
    )
    with track("run", tracking_uri=uri) as run:
        for _ in range(2):
            run.sample_recommendations(lists, {10: "Emma", 11: "Ulysses"}, requests=2)
    assert "tables/sample_recommendations.json" in client.get_run(run.id).data.tags["mlflow.loggedArtifacts"]
    table = pd.read_json(kept(run, "tables/sample_recommendations.json"), orient="split")
    assert table["recommended"].tolist() == ["1. Emma  2. Ulysses", "1. 12"]
    assert "ann" not in table["user"].tolist()


def test_datasets_are_listed_with_digest_and_counts(uri: str, client: MlflowClient) -> None:
    log = pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": [1, 2, 1], "timestamp": [30, 10, 20]})
    with track("run", tracking_uri=uri) as run:
        run.dataset("train", log)
        run.dataset("train", log)
        run.dataset("test", log.head(1), context="test", source="s3://ann:hunter2@bucket/test.parquet")
    inputs = {entry.dataset.name: entry for entry in client.get_run(run.id).inputs.dataset_inputs}
    assert set(inputs) == {"train", "test"}
    assert json.loads(inputs["train"].dataset.profile) == {
        "num_rows": 3,
        "num_elements": 9,
        "num_users": 2,
        "num_items": 2,
        "first_timestamp": 10,
        "last_timestamp": 30,
    }
    assert inputs["test"].tags[0].value == "test"
    assert "hunter2" not in inputs["test"].dataset.source


def test_the_learning_curve_is_drawn_at_the_end(uri: str) -> None:
    with track("run", tracking_uri=uri) as run:
        for epoch in range(3):
            run.metrics({"train/loss": 3.0 - epoch, "valid/ndcg_at_10": 0.1 * epoch}, step=epoch)
    assert kept(run, "figures/learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_no_metrics_no_figure(uri: str, client: MlflowClient) -> None:
    with track("run", tracking_uri=uri) as run:
        run.params({"dim": 8})
    assert client.list_artifacts(run.id) == []


def test_a_figure_that_cannot_be_stored_does_not_cost_the_run(
    uri: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    with warnings.catch_warnings(record=True) as seen, track("run", tracking_uri=uri) as run:
        run.metrics({"train/loss": 1.0}, step=0)
        monkeypatch.setattr(run, "artifact", refuse)
    assert "The MLflow run could not draw the learning curve: no space left" in [
        str(warning.message) for warning in seen
    ]
    assert client.get_run(run.id).info.status == "FINISHED"
