"""What a run keeps of an evaluation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.comparison import compare
from recattn.errors import DataError
from recattn.evaluation import NDCG, Recall, Report, evaluate, evaluate_labelled
from recattn.tracking import Run, reports, track
from recattn.tracking.contenders import contenders_of_runs
from recattn.tracking.evaluated import read_run
from recattn.tracking.privacy import hashed

TRUTH = pd.DataFrame({"request_id": [0, 1, 2], "user_id": ["ann", "bob", "bob"], "item_id": [1, 2, 3]})
LISTS = pd.DataFrame(
    {
        "request_id": [1, 0, 0, 0, 7],
        "user_id": ["bob", "ann", "ann", "ann", "cat"],
        "item_id": [2, 5, 1, 6, 1],
        "rank": [1, 1, 3, 9, 1],
        "score": [0.5, 0.9, 0.8, 0.7, 0.1],
    }
)
SEGMENTS = pd.DataFrame(
    {
        "request_id": [0, 1, 2],
        "history_length": [0, 3, 70],
        "target_popularity": [0.0, 9.0, 4.0],
        "cold": [True, False, False],
        "country": ["NL", "NL", "DE"],
    }
)


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(LISTS, TRUTH, [NDCG(2), Recall(1)], segments=SEGMENTS)


def test_lists_are_kept_as_they_were_judged(report: Report) -> None:
    lists = reports.lists_of(report, LISTS)
    assert lists.to_dict("list") == {
        "request_id": [0, 0, 1],
        "user_id": ["ann", "ann", "bob"],
        "item_id": ["5", "1", "2"],
        "rank": [1, 2, 1],
        "score": [0.9, 0.8, 0.5],
    }


def test_lists_with_scores_alone_are_ranked_by_them(report: Report) -> None:
    lists = reports.lists_of(report, LISTS.drop(columns="rank").assign(score=[0.5, 0.7, 0.8, np.nan, 0.1]))
    assert lists["item_id"].tolist() == ["1", "5", "2"]
    assert lists["rank"].tolist() == [1, 2, 1]


def test_lists_that_cannot_be_those_judged_are_refused(report: Report) -> None:
    with pytest.raises(
        DataError, match=r"must have 'request_id', 'item_id' and 'rank' or 'score'.*they have 'user_id'"
    ):
        reports.lists_of(report, LISTS[["user_id", "item_id", "rank"]])


def test_an_evaluation_leaves_the_same_paths_in_every_run(uri: str, client: MlflowClient, report: Report) -> None:
    with track("reports", tracking_uri=uri) as run:
        run.log(report, recommendations=LISTS)
        run.log(report, "test_other")
        run.log(dataclasses.replace(report, policy={**report.policy, "seen": "drop"}), "test_third")

    def kept(path: str) -> Path:
        return Path(client.download_artifacts(run.id, path))

    rows, lists = (pd.read_parquet(kept(f"test/{name}.parquet")) for name in ("per_request", "recommendations"))
    assert rows.columns.tolist() == [
        *("request_id", "user_id", "ndcg_at_2", "recall_at_1"),
        *("history_length", "target_popularity", "cold", "country"),
    ]
    assert set(lists["request_id"]) < set(rows["request_id"])
    assert lists["user_id"].tolist() == hashed(pd.Series(["ann", "ann", "bob"])).tolist()
    mlflow.set_tracking_uri(uri)  # which load_table reads from
    table = client.load_table(run.experiment_id, "tables/metric_by_segment.json", [run.id])
    assert table.set_index("segment")["requests"].to_dict() == {
        "history_length 0": 1,
        "history_length 1-4": 1,
        "history_length 50+": 1,
        "target_popularity 0": 1,
        "target_popularity 4": 1,
        "target_popularity 9": 1,
        "cold no": 2,
        "cold yes": 1,
        "country DE": 1,
        "country NL": 2,
    }
    drawn = {file.path for file in client.list_artifacts(run.id, "figures")}
    assert drawn == {
        f"figures/{n}.png" for n in ("metric_by_history_length", "metric_by_popularity", "score_distribution")
    }
    assert {file.path for file in client.list_artifacts(run.id, "test_other")} == {
        "test_other/per_request.parquet",
        "test_other/policy.json",
    }
    tags = client.get_run(run.id).data.tags
    assert tags["recattn.test.segments"] == "history_length,target_popularity,cold,country"
    assert tags["recattn.test.truth_rows"] == "3"
    others = {name for name in tags if name.startswith(("recattn.test_other", "recattn.test_third"))}
    assert others == {"recattn.test_third.seen"}


def test_a_labelled_slate_gives_a_calibration_and_no_lists(uri: str, client: MlflowClient) -> None:
    slate = pd.DataFrame({"user_id": list("aabbc"), "item_id": range(5), "score": [2.0, 1.0, 0.5, 0.1, np.nan]})
    slate = slate.assign(label=[1, 0, 0, 1, 1], probability=[0.9, 0.8, 0.3, 0.2, np.nan])
    segments = pd.DataFrame({"user_id": list("abc"), "history_length": [0, 3, 70]})
    labelled = evaluate_labelled(slate, segments=segments)
    with track("reports", tracking_uri=uri) as run:
        run.log(labelled, recommendations=slate)
    drawn = {file.path for file in client.list_artifacts(run.id, "figures")}
    assert drawn == {f"figures/{n}.png" for n in ("calibration", "score_distribution", "metric_by_history_length")}
    assert "test/recommendations.parquet" not in {file.path for file in client.list_artifacts(run.id, "test")}
    back = read_run(client, run.id).report
    assert back.summary == pytest.approx(labelled.summary)
    assert back.values("grouped_auc").tolist() == [1.0, 0.0]
    assert client.get_run(run.id).data.tags["recattn.test.unscored_rows_ignored"] == "1"


def test_labelled_runs_are_compared(uri: str, client: MlflowClient) -> None:
    rng = np.random.default_rng(0)
    slate = pd.DataFrame({"user_id": np.repeat(np.arange(60), 3), "label": rng.integers(0, 2, 180)})
    runs, labelled = [], []
    for scores in (slate["label"] + rng.random(180), rng.random(180)):
        scored = slate.assign(score=scores)
        labelled.append(evaluate_labelled(scored))
        with track("labelled", tracking_uri=uri) as run:
            run.log(labelled[-1], recommendations=scored)
        runs.append(run.id)
    found = compare(contenders_of_runs(client, [read_run(client, run) for run in runs]))
    assert found.metric == "grouped_auc"
    (difference,) = found.to_frame()["difference"]
    assert difference == pytest.approx(labelled[1].summary["grouped_auc"] - 1.0)


def test_a_summary_goes_to_mlflow_without_us(uri: str, client: MlflowClient, report: Report) -> None:
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run() as run:
        mlflow.log_metrics(report.summary)
    assert client.get_run(run.info.run_id).data.metrics == pytest.approx(report.summary)


def test_runs_that_differ_in_their_seed_only_share_a_group(uri: str, client: MlflowClient) -> None:
    def tags(dim: int, seed: int) -> dict[str, str]:
        with track("reports", tracking_uri=uri) as run:
            run.artifact("config.json", {"model": {"dim": dim}, "train": {"seed": seed}, "features": []})
            assert isinstance(run, Run)
        return client.get_run(run.id).data.tags

    one, two, other = tags(8, 1), tags(8, 2), tags(16, 1)
    assert one["recattn.seed_group"] == two["recattn.seed_group"] != other["recattn.seed_group"]
    assert one["recattn.config"] != two["recattn.config"]
