"""A real fit, tracked from the first epoch to the loaded model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import recattn as ra
from recattn.errors import ArtifactError
from recattn.tracking import Run, privacy, track, unsent

DAY = 86_400


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    users, n = 24, 8
    frame = pd.DataFrame({"user_id": np.repeat([f"u{u}" for u in range(users)], n)})
    frame["item_id"] = rng.integers(100, 140, len(frame))
    frame["timestamp"] = 1_700_000_000 + np.tile(np.arange(n) * DAY, users) + rng.integers(0, DAY, len(frame))
    frame["event_type"] = rng.choice(["view", "buy"], len(frame))
    return frame


@pytest.fixture(scope="module")
def valid(log: pd.DataFrame) -> pd.DataFrame:
    last = log.groupby("user_id").tail(1)
    return last.assign(item_id=last["item_id"].to_numpy()[::-1], timestamp=1_700_000_000 + 9 * DAY)


def recommender(epochs: int = 2) -> ra.Recommender:
    return ra.Recommender(
        ra.ModelConfig(dim=8, num_heads=1, num_layers=1, max_history=8),
        ra.TrainConfig(max_epochs=epochs, batch_size=16, num_negatives=8, seed=1, patience=0),
    )


@pytest.fixture(scope="module")
def fitted(log: pd.DataFrame) -> ra.Recommender:
    return recommender(1).fit(log)


def test_a_fit_leaves_settings_curves_datasets_and_a_figure(
    uri: str, client: MlflowClient, log: pd.DataFrame, valid: pd.DataFrame
) -> None:
    with track("real", tracking_uri=uri) as run:
        recommender().fit(log, valid=valid, observers=[run])
    ended = client.get_run(run.id)
    assert ended.info.status == "FINISHED"
    assert ended.data.params["model.dim"] == "8"
    assert [point.step for point in client.get_metric_history(run.id, "train/loss")] == [0, 1]
    assert "valid/ndcg_at_10" in ended.data.metrics
    assert {entry.dataset.name for entry in ended.inputs.dataset_inputs} >= {"train", "valid"}
    paths = {artifact.path for artifact in client.list_artifacts(run.id)}
    assert {"config.json", "figures"} <= paths


@pytest.mark.parametrize("score", ["retrieval", "attention"])
def test_examples_have_reasons_and_show_where_the_model_looks(
    uri: str, client: MlflowClient, log: pd.DataFrame, score: Any
) -> None:
    model = ra.Recommender(
        ra.ModelConfig(dim=8, num_heads=1, num_layers=1, max_history=8, score=score),
        ra.TrainConfig(max_epochs=1, batch_size=16, num_negatives=8, seed=1),
    ).fit(log)
    asked = pd.DataFrame({"user_id": ["u0", "u0", "u1"], "request_id": [4, 5, 6]})
    asked["timestamp"] = 1_700_000_000 + np.array([3, 9, 9]) * DAY
    lists = model.recommend(asked, history=log, k=4)
    with track("real", tracking_uri=uri) as run:
        run.examples(model, lists, history=log, asked=asked, titles={100: "Emma"}, requests=2)
    mlflow.set_tracking_uri(uri)
    table = client.load_table(run.experiment_id, "tables/sample_recommendations.json", [run.id])
    assert table["user"].tolist() == [*privacy.hashed(pd.Series(["u0"])), privacy.hashed(pd.Series(["u0"]))[0] + " #2"]
    slate = lists[lists["request_id"] == 4].head(1)[["user_id", "item_id"]].assign(timestamp=asked["timestamp"][0])
    best = model.explain(slate, history=log, top=1).iloc[0]
    named = {"100": "Emma"}
    first, past = (named.get(str(item), str(item)) for item in (best["item_id"], best["history_item_id"]))
    assert table["why"][0].startswith(f"{first}: {past} {best['change']:+.2g}; ")
    assert client.list_artifacts(run.id, "figures")[0].path == "figures/attention_age.png"


def test_the_table_of_examples_can_be_left_out(
    uri: str, client: MlflowClient, log: pd.DataFrame, fitted: ra.Recommender
) -> None:
    lists = fitted.recommend(["u0"], history=log, k=3)
    with track("real", tracking_uri=uri) as run:
        run.examples(fitted, lists, history=log, table=False)
    assert [file.path for file in client.list_artifacts(run.id)] == ["figures"]


def test_a_broken_fit_fails_its_run_and_goes_on_under_the_same_id(
    uri: str, client: MlflowClient, log: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(run: Any, **options: Any) -> None:
        recommender(3).fit(log, observers=[run], checkpoint_dir=tmp_path, **options)

    metrics = Run.metrics

    def die_in_the_second_epoch(run: Run, values: Any, *, step: int) -> None:
        if step == 1:
            raise RuntimeError("power cut")
        metrics(run, values, step=step)

    monkeypatch.setattr(Run, "metrics", die_in_the_second_epoch)
    with pytest.raises(RuntimeError, match="power cut"), track("real", tracking_uri=uri) as run:
        fit(run)
    monkeypatch.undo()
    assert client.get_run(run.id).info.status == "FAILED"
    assert client.get_run(run.id).data.tags["recattn.error"] == "power cut"
    with track("real", tracking_uri=uri, resume_from=tmp_path) as second:
        fit(second, resume=True)
    assert second.id == run.id
    assert client.get_run(run.id).info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.id, "train/loss")] == [0, 1, 2]


def test_the_loaded_model_scores_as_the_fitted_one(
    uri: str, client: MlflowClient, log: pd.DataFrame, fitted: ra.Recommender
) -> None:
    with track("real", tracking_uri=uri) as run:
        info = run.log_model(fitted)
    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    users, candidates = ["u0", "u5"], [103, 100, 107]
    histories = [log[log["user_id"] == user].sort_values("timestamp") for user in users]
    rows = pd.DataFrame(
        {
            "history_items": [part["item_id"].astype(str).tolist() for part in histories],
            "history_times": [part["timestamp"].tolist() for part in histories],
            "history_events": [part["event_type"].tolist() for part in histories],
            "candidates": [[str(item) for item in candidates]] * 2,
        }
    )
    scores = np.array(loaded.predict(rows)["score"].tolist())
    for part, found in zip(histories, scores, strict=True):
        slate = pd.DataFrame({"user_id": part["user_id"].iloc[0], "item_id": candidates})
        assert fitted.score(slate, history=part)["score"].to_numpy() == pytest.approx(found, rel=1e-5)

    best = loaded.predict(rows.drop(columns="candidates"), params={"k": 3})
    for part, found in zip(histories, best["item_id"], strict=True):
        expected = fitted.recommend(part["user_id"].unique(), history=part, k=3)["item_id"]
        assert found == expected.astype(str).tolist()
    strangers = pd.DataFrame({"history_items": [[], None, ["unknown"]], "history_times": [[], None, [1]]})
    nobody = loaded.predict(strangers, params={"k": 2})
    assert nobody["item_id"].map(len).tolist() == [2, 2, 2]
    assert nobody["score"].tolist() == [pytest.approx(nobody["score"][0])] * 3

    folder = Path(mlflow.artifacts.download_artifacts(info.model_uri))
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {"", ".json", ".yaml", ".txt", ".safetensors", ".parquet"}


def test_a_store_that_takes_no_files_costs_no_fit_and_says_so(
    uri: str,
    client: MlflowClient,
    log: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").write_text("a file where a folder should be")
    client.create_experiment("no store", artifact_location=(tmp_path / "store").as_uri())
    with track("no store", tracking_uri=uri) as run:
        model = recommender(1).fit(log, observers=[run])
        with pytest.raises(ArtifactError, match=r"the model could not be logged to MLflow .* model\.save\(path\)"):
            run.log_model(model)
    ended = client.get_run(run.id)
    assert ended.info.status == "FINISHED"
    assert "train/loss" in ended.data.metrics
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any(message.startswith(f"MLflow did not take files config.json of run {run.id}: ") for message in messages)
    assert f"The rest is kept in recattn-unsent/{run.id}" in messages[-1]
    (tmp_path / "store").unlink()
    unsent.send(Path("recattn-unsent") / run.id, uri)
    assert "config.json" in [file.path for file in client.list_artifacts(run.id)]
