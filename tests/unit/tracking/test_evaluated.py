"""Runs read back from MLflow, and what is said of those that cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.errors import ArtifactError, ConfigError
from recattn.evaluation import NDCG, Recall, Report, evaluate, paired_bootstrap
from recattn.tracking import track
from recattn.tracking.evaluated import read_curves, read_run
from recattn.tracking.find import best_runs, find_run


def report_of(found: float, seed: int = 0) -> Report:
    """A report of 40 users, `found` of whom get their item at rank 1."""
    users = np.arange(40)
    truth = pd.DataFrame({"user_id": users, "item_id": "a"})
    hits = np.random.default_rng(seed).random(40) < found
    lists = truth.assign(item_id=np.where(hits, "a", "b"), rank=1)
    return evaluate(lists, truth, [NDCG(10), Recall(10)], policy={"ties": "exclude"})


def logged(uri: str, name: str, found: float = 0.5, experiment: str = "reading") -> str:
    with track(experiment, name, tracking_uri=uri) as run:
        run.params({"model.dim": 8})
        run.metrics({"valid/ndcg_at_10": 0.3}, step=0)
        run.metrics({"valid/ndcg_at_10": 0.4, "cost/fit_seconds": 3.0}, step=1)
        run.log(report_of(found))
    return run.id


def test_a_run_comes_back_as_its_report(client: MlflowClient) -> None:
    run_id = logged(client.tracking_uri, "back")
    read = read_run(client, run_id)
    assert (read.name, read.status, read.params["model.dim"]) == ("back", "FINISHED", "8")
    assert read.report.summary == pytest.approx(report_of(0.5).summary)
    assert read.report.policy["truth_sha256"] == report_of(0.5).policy["truth_sha256"]
    assert read.report.policy["hashed_ids"] is True
    assert read.report.values("ndcg_at_10").tolist() == report_of(0.5).values("ndcg_at_10").tolist()
    assert (read.recommendations, read.cost["fit_seconds"]) == (None, 3.0)
    assert read_curves(client, read) == {"valid/ndcg_at_10": {0: 0.3, 1: 0.4}}


def test_reports_of_two_runs_can_be_compared(client: MlflowClient) -> None:
    reports = [read_run(client, logged(client.tracking_uri, f"pair {f}", f)).report for f in (1.0, 0.0)]
    assert paired_bootstrap(*reports, "ndcg_at_10").difference == 1.0


def test_a_run_is_found_by_name_and_by_a_model_it_logged(client: MlflowClient) -> None:
    run_id = logged(client.tracking_uri, "the 'quoted' one")
    client.create_registered_model("found shelf")
    version = client.create_model_version("found shelf", "file:///nowhere", run_id=run_id).version
    client.set_registered_model_alias("found shelf", "champion", version)
    for which in (
        "the 'quoted' one",
        f"runs:/{run_id}/model",
        f"models:/found shelf/{version}",
        "models:/found shelf@champion",
    ):
        assert find_run(client, which).info.run_id == run_id
    client.delete_model_version("found shelf", version)
    with pytest.raises(ArtifactError, match="models:/found shelf@champion leads to no model"):
        find_run(client, "models:/found shelf@champion")
    with pytest.raises(ArtifactError, match=f"models:/found shelf/{version} leads to no model"):
        find_run(client, f"models:/found shelf/{version}")


def test_names_that_lead_to_no_run_or_to_several_are_told(client: MlflowClient) -> None:
    one, other = logged(client.tracking_uri, "twin"), logged(client.tracking_uri, "twin")
    with pytest.raises(ConfigError, match="'twin' is the name of several runs") as several:
        find_run(client, "twin")
    assert one in str(several.value)
    assert other in str(several.value)
    with pytest.raises(ArtifactError, match=r"no run with the id or name 'twim'\. Did you mean 'twin'"):
        find_run(client, "twim")
    with pytest.raises(ArtifactError, match="there is no such run"):
        find_run(client, "0" * 32)


def test_runs_that_are_not_whole_are_refused(client: MlflowClient) -> None:
    with track("reading", "running", tracking_uri=client.tracking_uri) as run:
        run.log(report_of(0.5))
        run.flush()
        with pytest.raises(ArtifactError, match=f"{run.id} still runs"):
            read_run(client, run.id)
        assert read_run(client, run.id, allow_unfinished=True).status == "RUNNING"
    with pytest.raises(ArtifactError, match=r"has no per-request metrics.*It has an evaluation under 'test'"):
        read_run(client, run.id, "valid")
    with pytest.raises(RuntimeError), track("reading", "lost", tracking_uri=client.tracking_uri) as lost:
        raise RuntimeError("out of memory")
    with pytest.raises(ArtifactError, match=r"ended FAILED \(out of memory\)"):
        read_run(client, lost.id)
    client.delete_run(run.id)
    with pytest.raises(ArtifactError, match="is deleted"):
        read_run(client, run.id)


def test_the_best_runs_of_an_experiment_come_best_first(client: MlflowClient) -> None:
    for found in (0.2, 0.9, 0.5):
        logged(client.tracking_uri, f"best {found}", found, experiment="ranked")
    assert [run.info.run_name for run in best_runs(client, "ranked", 2)] == ["best 0.9", "best 0.5"]
    with pytest.raises(ConfigError, match=r"there is no experiment 'rankd'\. Did you mean 'ranked'"):
        best_runs(client, "rankd", 2)
    with pytest.raises(ConfigError, match=r"0 finished runs with the metric 'test/ndcg_at_1'"):
        best_runs(client, "ranked", 2, metric="test/ndcg_at_1")
    logged(client.tracking_uri, "alone", experiment="single")
    with pytest.raises(ConfigError, match="'single' has 1 finished runs"):
        best_runs(client, "single", 2)
