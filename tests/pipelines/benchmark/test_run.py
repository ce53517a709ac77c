"""Cells are run once, judged on validation, on test only when asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recattn as ra
from pipelines.benchmark import recommenders
from pipelines.benchmark.choose import best_trial
from pipelines.benchmark.datasets import load
from pipelines.benchmark.models import model
from pipelines.benchmark.protocols import Task, protocol
from pipelines.benchmark.run import Places, main, run_cell
from pipelines.benchmark.trials import Trial

TINY = {"model.dim": 8, "model.num_layers": 1, "model.max_history": 10, "train.max_epochs": 1}


def files(places: Places, ending: str = ".json") -> list[Path]:
    return sorted((places.results / "cells").rglob(f"*{ending}"))


def test_a_finished_cell_is_not_run_again(
    task: Task, places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = Trial(model("item_knn"), {"neighbors": 5})
    first = run_cell(task, trial, places=places)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(recommenders, "fit", never)
    assert run_cell(task, trial, places=places) == first
    with pytest.raises(AssertionError, match="trained again"):
        run_cell(task, Trial(model("item_knn"), {"neighbors": 6}), places=places)


def test_a_cell_of_other_data_is_run_again(data_root: Path, task: Task, places: Places, tmp_path: Path) -> None:
    trial = Trial(model("popularity"), {})
    first = run_cell(task, trial, places=places)
    (tmp_path / "world").mkdir()
    log = pd.read_parquet(data_root / "world" / "interactions.parquet")
    log.iloc[:-5].to_parquet(tmp_path / "world" / "interactions.parquet")
    other = run_cell(Task(load("world", tmp_path), task.protocol), trial, places=places)
    assert first is not None
    assert other is not None
    assert other["key"] != first["key"]
    assert json.loads(files(places)[0].read_text())["key"] == other["key"]


def test_what_a_cell_keeps_is_what_evaluate_says(task: Task, places: Places) -> None:
    about = run_cell(task, Trial(model("item_knn"), {}), places=places)
    split = task.split
    listed = ra.ItemKNN().fit(split.train).recommend(split.requests("valid"), history=split.history("valid"), k=20)
    truth = split.truth("valid")
    expected = ra.evaluate(listed, truth, [ra.NDCG(10), ra.MRR(10)], seen="drop")
    assert about is not None
    assert about["metrics"]["ndcg_at_10"] == pytest.approx(expected.summary["ndcg_at_10"], abs=1e-6)
    kept = pd.read_parquet(files(places, ".parquet")[0])
    np.testing.assert_allclose(kept["mrr_at_10"], expected.per_request["mrr_at_10"], rtol=1e-6)
    assert kept["request_id"].tolist() == expected.per_request["request_id"].tolist()
    fresh = truth[~truth["seen"]]
    assert kept["cold"].tolist() == (~fresh["item_id"].isin(split.train["item_id"])).tolist()
    history = split.history("valid")
    asked = split.requests("valid").set_index("request_id").loc[kept["request_id"]]
    before = [
        int(((history["user_id"] == user) & (history["timestamp"] < moment)).sum())
        for user, moment in zip(asked["user_id"], asked["timestamp"], strict=True)
    ]
    assert kept["history"].tolist() == before


def test_no_id_of_the_data_is_kept(task: Task, places: Places) -> None:
    run_cell(task, Trial(model("popularity"), {}), places=places)
    text = files(places)[0].read_text()
    kept = pd.read_parquet(files(places, ".parquet")[0])
    assert kept.dtypes[["request_id", "user_id", "history"]].eq("int32").all()
    assert kept.dtypes["ndcg_at_10"] == "float32"
    for ids in (task.data.log["user_id"], task.data.log["item_id"]):
        assert not [one for one in ids.unique() if f'"{one}"' in text]


def test_test_stays_closed_until_final_and_every_look_is_recorded(arguments: list[str], places: Places) -> None:
    wanted = ["--datasets", "[world]", "--models", "[popularity,item_knn]", "--trials", "3"]
    assert main([*arguments, *wanted]) == 0
    assert len(files(places)) == 4  # popularity has one setting
    assert not files(places, ".test.json")
    assert not (places.results / "openings.jsonl").exists()
    assert main([*arguments, *wanted, "--final", "true"]) == 0
    scores = [json.loads(path.read_text()) for path in files(places) if "item_knn" in str(path)]
    valid = [one for one in scores if "opening" not in one]
    (opened,) = [one for one in scores if "opening" in one]
    best = max(valid, key=lambda one: one["metrics"]["ndcg_at_10"])
    assert opened["cell"]["trial"] == best["cell"]["trial"]
    lines = [json.loads(line) for line in (places.results / "openings.jsonl").read_text().splitlines()]
    assert [(line["model"], line["count"]) for line in lines] == [("popularity", 1), ("item_knn", 2)]
    assert main([*arguments, *wanted, "--final", "true"]) == 0
    assert len((places.results / "openings.jsonl").read_text().splitlines()) == 2


def test_final_without_validation_opens_nothing(
    arguments: list[str], places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--datasets", "[world]", "--models", "[popularity]", "--final", "true"]) == 0
    assert "no trial has been validated yet" in capsys.readouterr().out
    assert not (places.results / "openings.jsonl").exists()


def test_a_trained_model_is_kept_and_judged_on_test_without_training(
    data_root: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, trial = Task(load("world", data_root), protocol("loo")), Trial(model("recattn"), TINY)
    about = run_cell(task, trial, 1, places=places)
    assert about is not None
    assert about["epochs"] == 1
    assert about["resolved"]["train.seed"] == 1
    assert (places.scratch / "cells" / about["scratch"] / "model" / "manifest.json").exists()
    assert not (places.scratch / "cells" / about["scratch"] / "checkpoints").exists()
    monkeypatch.setattr(ra.Recommender, "fit", lambda *_, **__: pytest.fail("trained again"))
    tested = run_cell(task, trial, 1, part="test", places=places)
    assert tested is not None
    assert tested["policy"]["truth_sha256"] != about["policy"]["truth_sha256"]
    assert tested["train_seconds"] == about["train_seconds"]


def test_a_killed_cell_leaves_nothing_and_goes_on_from_its_checkpoint(
    task: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(model("recattn"), TINY | {"train.max_epochs": 2})
    save = ra.Recommender.save

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ra.Recommender, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run_cell(task, trial, places=places)
    assert not files(places)
    monkeypatch.setattr(ra.Recommender, "save", save)
    about = run_cell(task, trial, places=places)
    assert about is not None
    assert [epoch["epoch"] for epoch in about["curve"]] == [0, 1]
    folder = places.scratch / "cells" / about["scratch"]
    assert len((folder / "epochs.jsonl").read_text().splitlines()) == 2  # nothing was trained twice


def test_what_cannot_be_run_is_left_out_with_the_reason(
    arguments: list[str], places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["--datasets", "[ordered]", "--protocols", "[loo,gts-last]", "--models", "[popularity,popularity_7d]"]
    assert main([*arguments, *wanted]) == 0
    shown = capsys.readouterr().out
    assert "popularity_7d ordered loo: left out, ordered is order-only: there is no window of time" in shown
    assert "popularity ordered gts-last: left out, ordered is order-only: there is no time split" in shown
    assert [path.parent.name for path in files(places)] == ["popularity"]


def test_the_winner_is_chosen_on_the_seeds_all_trials_have() -> None:
    rows = [("a", 0, 0.30), ("a", 1, 0.10), ("a", 2, 0.10), ("b", 0, 0.25)]
    scores = pd.DataFrame(rows, columns=["trial", "seed", "ndcg_at_10"])
    assert best_trial(scores) == "a"
    rows += [("b", 1, 0.25), ("b", 2, 0.25)]
    assert best_trial(pd.DataFrame(rows, columns=["trial", "seed", "ndcg_at_10"])) == "b"


def test_every_protocol_gives_all_models_the_same_requests(data_root: Path) -> None:
    data = load("world", data_root)
    last, successive = (Task(data, protocol(f"gts-{target}")).asked("valid") for target in ("last", "successive"))
    assert last.requests["user_id"].is_unique
    assert len(successive.requests) > len(last.requests)
    legacy = Task(data, protocol("loo"))
    assert legacy.split.leaks
    assert legacy.protocol.legacy
    assert (legacy.asked("valid").lengths >= 1).all()


def test_a_missing_data_set_and_an_unknown_protocol_are_errors_without_a_traceback(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--datasets", "[wrld]", "--models", "[popularity]"]) == 1
    assert "has 'ordered', 'world'" in capsys.readouterr().err
    assert main([*arguments, "--datasets", "[world]", "--models", "[popularity]", "--protocols", "[gts]"]) == 1
    assert "no protocol 'gts'" in capsys.readouterr().err


def test_the_harness_runs_where_mlflow_is_not(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.benchmark.runs.available", lambda: False)
    given = [*arguments[:-2], "--experiment", "benchmark", "--datasets", "[world]", "--models", "[popularity]"]
    assert main(given) == 0
    assert "MLflow is not installed" in capsys.readouterr().out


def test_what_mlflow_refuses_is_a_warning(task: Task, places: Places) -> None:
    there = Places(places.results, places.scratch, places.peers, "benchmark", "file:///nowhere")
    with pytest.warns(UserWarning, match="could not be logged to MLflow"):
        about = run_cell(task, Trial(model("popularity"), {}), places=there)
    assert about is not None
    assert files(places)


def test_a_cell_is_a_run_of_the_experiment(task: Task, places: Places, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    there = Places(places.results, places.scratch, places.peers, "benchmark", uri)
    about = run_cell(task, Trial(model("item_knn"), {"neighbors": 7}), places=there)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("benchmark")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert about is not None
    assert found.data.params["neighbors"] == "7"
    assert found.data.metrics["valid/ndcg_at_10"] == pytest.approx(about["metrics"]["ndcg_at_10"], abs=1e-6)
    assert found.data.tags["benchmark.model"] == "item_knn"
    assert not [name for name in found.data.metrics if name.startswith("test/")]


def test_a_peer_without_its_environment_says_how_to_make_it(task: Task, places: Places) -> None:
    from recattn.errors import ConfigError

    with pytest.raises(ConfigError, match=r"pipelines\.benchmark\.peers make rectools"):
        run_cell(task, Trial(model("rectools_sasrec"), {}), places=places)
