"""Before test, models are fitted again on train and validation, by what validation has decided."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import recattn as ra
from pipelines.benchmark import cells, openings, recommenders
from pipelines.benchmark.cells import Cell
from pipelines.benchmark.datasets import load
from pipelines.benchmark.models import model
from pipelines.benchmark.ours import configs, shuffled, weigh
from pipelines.benchmark.protocols import Protocol, Task, protocol
from pipelines.benchmark.refits import Refit
from pipelines.benchmark.run import Places, run_cell
from pipelines.benchmark.trials import Trial

TINY = {"model.dim": 8, "model.num_layers": 1, "model.max_history": 10, "train.max_epochs": 2, "train.patience": 0}
PEER = """#!{python}
import json, sys
from pathlib import Path
import pandas as pd
folder = Path(sys.argv[sys.argv.index("--folder") + 1])
settings = json.loads((folder / "settings.json").read_text())
train, valid = (pd.read_parquet(folder / f"{{name}}.parquet") for name in ("train", "valid"))
if sys.argv[2] == "fit":
    about = {{"seconds": settings["max_epochs"], "epochs": settings["max_epochs"], "curve": []}}
    about |= {{"best_epoch": 2 if len(valid) else None, "rows": [len(train), len(valid)]}}
    (folder / "fit.json").write_text(json.dumps(about))
else:
    requests = pd.read_parquet(folder / "requests.parquet")
    best = pd.DataFrame({{"item_id": train["item_id"].value_counts().index[:20], "rank": range(1, 21)}})
    requests.merge(best, how="cross").to_parquet(folder / "recommendations.parquet")
"""


def run(task: Task, trial: Trial, places: Places, part: Any = "test", seed: int = 0) -> dict[str, Any]:
    """The cell, which no other process has."""
    about = run_cell(task, trial, seed, part=part, places=places)
    assert about is not None
    return about


def file_of(task: Task, trial: Trial, places: Places, part: str = "valid", seed: int = 0) -> Path:
    """Of a finished cell."""
    cell = Cell(task.data.name, task.protocol.name, trial.model.name, trial.name, seed)
    return cells.place(places.results, cell, part, ".json")


def tell(task: Task, trial: Trial, places: Places, **values: Any) -> None:
    """Change what a finished cell of validation says."""
    path = file_of(task, trial, places)
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def quality(task: Task, recommender: Any) -> float:
    """NDCG@10 on test."""
    asked = task.asked("test")
    listed = recommender.recommend(asked.requests, history=asked.history, k=20)
    return float(ra.evaluate(listed, asked.truth, [ra.NDCG(10)], seen="drop").summary["ndcg_at_10"])


@pytest.fixture
def successive(task: Task) -> Task:
    """The same data and cut, each interaction asked for."""
    return Task(task.data, protocol("gts-successive"))


def test_by_a_time_split_test_is_judged_by_a_fit_on_train_and_validation(task: Task, places: Places) -> None:
    about = run(task, Trial(model("item_knn"), {}), places)
    split = task.split
    both = ra.ItemKNN().fit(pd.concat([split.train, split.valid], ignore_index=True))
    assert about["refitted"] is True
    assert about["metrics"]["ndcg_at_10"] == pytest.approx(quality(task, both), abs=1e-6)
    assert quality(task, both) != pytest.approx(quality(task, ra.ItemKNN().fit(split.train)), abs=1e-4)


def test_leave_one_out_is_not_refitted(data_root: Path, places: Places) -> None:
    task, trial = Task(load("world", data_root), protocol("loo")), Trial(model("item_knn"), {})
    about = run(task, trial, places)
    expected = quality(task, ra.ItemKNN().fit(task.split.train, ties="order"))
    assert about["metrics"]["ndcg_at_10"] == pytest.approx(expected, abs=1e-6)
    assert "refitted" not in about
    assert about["key"] == run(task, trial, places, "valid")["key"]


def test_a_refit_has_the_best_number_of_epochs_and_the_weights_chosen_on_validation(task: Task, places: Places) -> None:
    trial = Trial(model("recattn"), TINY)
    validated = run(task, trial, places, "valid")
    assert len(validated["curve"]) == 2
    weights = [1.5, *([0.25] * (len(validated["memory_weights"]) - 1))]
    tell(task, trial, places, best_epoch=0, memory_weights=weights)
    shutil.rmtree(places.scratch)  # what is finished says it all
    about = run(task, trial, places)
    assert (about["epochs"], about["best_epoch"], about["memory_weights"]) == (1, None, weights)
    assert about["refitted"] is True
    config, train = configs(trial, task, 0, Refit(1))
    same = ra.Recommender(config, train).fit(pd.concat([task.split.train, task.split.valid], ignore_index=True))
    same.scorer.memory.weights.copy_(torch.tensor(weights))
    assert about["metrics"]["ndcg_at_10"] == pytest.approx(quality(task, same), abs=1e-6)


def test_tables_that_are_newer_than_the_weights_weigh_nothing(task: Task) -> None:
    recommender = ra.Recommender(*configs(Trial(model("recattn"), TINY), task, 0, Refit(1))).fit(task.split.train)
    weigh(recommender, [0.5])
    first, *others = recommender.scorer.memory.weights.tolist()
    assert first == 0.5
    assert set(others) == {0.0}


def test_without_a_best_epoch_all_are_trained_and_baselines_have_none() -> None:
    validated: Mapping[str, Any] = {"resolved": {"train.max_epochs": 7}, "best_epoch": None, "memory_weights": None}
    assert Refit.of(validated, Trial(model("sasrec_ce"), {})) == Refit(7, None)
    assert Refit.of({}, Trial(model("item_knn"), {})) == Refit(None, None)


def test_a_model_without_a_memory_is_refitted_without_weights(task: Task, places: Places) -> None:
    about = run(task, Trial(model("sasrec_ce"), TINY | {"model.score": "retrieval"}), places)
    assert about["memory_weights"] is None
    assert about["refitted"] is True


def test_histories_in_random_order_stay_so_in_a_refit(
    task: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, fit = [], ra.Recommender.fit
    monkeypatch.setattr(
        ra.Recommender, "fit", lambda self, train, **more: given.append(train) or fit(self, train, **more)
    )
    run(task, Trial(model("shuffled_histories"), TINY), places, seed=2)
    pd.testing.assert_frame_equal(given[1], shuffled(task.fitted_on("test"), 2))


def test_an_item_of_validation_is_not_cold_on_test(data_root: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(data_root / "world" / "interactions.parquet")
    split = Task(load("world", data_root), protocol("gts-last")).split
    last = log.groupby("user_id").cumcount(ascending=False) == 0
    late = log.index[last & (log["timestamp"] >= split.test_from)]
    held = log.index[(log["timestamp"] >= split.valid_from) & (log["timestamp"] < split.test_from)]
    users = log.loc[[held[0]], "user_id"]
    asked_for = next(row for row in late if log.loc[row, "user_id"] not in set(users))
    log.loc[[held[0], asked_for], "item_id"] = "fresh"
    log.loc[late[late != asked_for][:1], "item_id"] = "never before"
    (tmp_path / "world").mkdir()
    log.to_parquet(tmp_path / "world" / "interactions.parquet")
    task = Task(load("world", tmp_path), protocol("gts-last"))
    assert "fresh" not in task.catalog("valid")
    assert "fresh" in task.catalog("test")
    asked = task.asked("test")
    cold = asked.truth.set_index("item_id")["request_id"].map(asked.cold)
    assert not cold["fresh"]
    assert cold["never before"]
    fresh = asked.truth[~asked.truth["seen"]]
    known = pd.concat([task.split.train, task.split.valid])["item_id"]
    assert task.cold_share("test") == pytest.approx(1 - fresh["item_id"].isin(known).mean())
    assert 0 < task.cold_share("test") < 1 - fresh["item_id"].isin(task.split.train["item_id"]).mean()
    kept = asked.requests.set_index("request_id").index
    assert kept.equals(asked.cold.reindex(kept).index)


def test_both_targets_share_one_refit(
    task: Task, successive: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, fits, fit = Trial(model("recattn"), TINY), [], ra.Recommender.fit
    for one, first in ((task, 0.5), (successive, 1.0)):
        weights = run(one, trial, places, "valid")["memory_weights"]
        tell(one, trial, places, best_epoch=1, memory_weights=[first, *weights[1:]])
    monkeypatch.setattr(ra.Recommender, "fit", lambda *given, **more: fits.append(more) or fit(*given, **more))
    first, second = run(task, trial, places), run(successive, trial, places)
    assert len(fits) == 1
    assert fits[0]["valid"] is None
    assert first["scratch"] == second["scratch"]
    assert first["curve"] == second["curve"]
    assert first["train_seconds"] == second["train_seconds"]
    assert (first["memory_weights"][0], second["memory_weights"][0]) == (0.5, 1.0)
    assert first["key"] != second["key"]


def test_refits_that_differ_in_anything_that_decides_them_are_apart(
    task: Task, successive: Task, places: Places
) -> None:
    trial = Trial(model("recattn"), TINY)
    for one, best in ((task, 0), (successive, 1)):
        run(one, trial, places, "valid")
        tell(one, trial, places, best_epoch=best)
    ties = Task(task.data, protocol("gts-last-ties-order"))
    run(ties, trial, places, "valid")
    tell(ties, trial, places, best_epoch=0)
    names = {run(one, trial, places)["scratch"] for one in (task, successive, ties)}
    assert len(names) == 3


def test_a_refit_goes_on_after_a_kill(
    task: Task, successive: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, save = Trial(model("recattn"), TINY), ra.Recommender.save
    for one in (task, successive):
        run(one, trial, places, "valid")
        tell(one, trial, places, best_epoch=1)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ra.Recommender, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run(task, trial, places)
    assert not file_of(task, trial, places, "test").exists()
    monkeypatch.setattr(ra.Recommender, "save", save)
    about = run(successive, trial, places)  # begun for one target, ended for the other
    folder = places.scratch / "refits" / about["scratch"]
    assert len((folder / "epochs.jsonl").read_text().splitlines()) == 2  # nothing was trained twice
    assert not (folder / "checkpoints").exists()
    assert run(task, trial, places)["curve"] == about["curve"]


def test_a_new_seed_is_validated_before_its_test_is_opened(
    task: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, record = Trial(model("recattn"), TINY), openings.record
    run(task, trial, places, "valid")

    def opened(results: Path, cell: Cell) -> dict[str, Any]:
        assert cells.place(results, cell, "valid", ".json").exists()
        return record(results, cell)

    monkeypatch.setattr(openings, "record", opened)
    about = run(task, trial, places, seed=3)
    validated = json.loads(file_of(task, trial, places, seed=3).read_text())
    assert about["opening"]["seed"] == validated["resolved"]["train.seed"] == 3
    assert about["epochs"] == validated["best_epoch"] + 1
    assert about["memory_weights"] == validated["memory_weights"]


def test_a_test_cell_of_a_fit_on_train_alone_is_run_again(
    task: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(model("item_knn"), {})
    with monkeypatch.context() as before:
        before.setattr(Protocol, "refits", False)
        old = run(Task(task.data, task.protocol), trial, places)
    new = run(task, trial, places)
    assert "refitted" not in old
    assert new["refitted"] is True
    assert new["key"] != old["key"]
    assert run(task, trial, places) == new


def test_another_validation_is_another_refit(task: Task, places: Places) -> None:
    trial = Trial(model("recattn"), TINY)
    weights = run(task, trial, places, "valid")["memory_weights"]
    tell(task, trial, places, best_epoch=0)
    first = run(task, trial, places)
    tell(task, trial, places, best_epoch=0, memory_weights=[2.0, *weights[1:]])
    second = run(task, trial, places)
    assert second["key"] != first["key"]
    assert second["scratch"] == first["scratch"]  # what the weights are does not change the training
    assert run(task, trial, places) == second


def test_a_cell_that_does_not_tell_the_weights_is_judged_again_without_training(
    task: Task, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, fit = Trial(model("recattn"), TINY), recommenders.ours.trained
    validated = run(task, trial, places, "valid")
    path = file_of(task, trial, places)
    path.write_text(json.dumps({name: value for name, value in validated.items() if name != "memory_weights"}))
    given: list[tuple[bool, bool]] = []

    def watched(*these: Any, refit: Refit | None, **more: Any) -> ra.Recommender:
        given.append((refit is not None, (these[3] / "model").exists()))
        return fit(*these, refit=refit, **more)

    monkeypatch.setattr(recommenders.ours, "trained", watched)
    about = run(task, trial, places)
    assert given == [(False, True), (True, False)]  # read again, then refitted
    assert json.loads(path.read_text())["memory_weights"] == about["memory_weights"] == validated["memory_weights"]


def test_a_peer_is_refitted_on_both_for_its_best_number_of_epochs(task: Task, successive: Task, places: Places) -> None:
    python = places.peers / "rectools" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PEER.format(python=sys.executable))
    python.chmod(0o755)
    trial, split = Trial(model("rectools_sasrec"), {"max_epochs": 9}), task.split
    about = run(task, trial, places)
    validated = json.loads(file_of(task, trial, places).read_text())
    assert validated["rows"] == [len(split.train), len(split.valid)]
    assert validated["epochs"] == 9
    assert about["rows"] == [len(split.train) + len(split.valid), 0]
    assert (about["epochs"], about["best_epoch"], about["train_seconds"]) == (3, None, 3.0)
    assert about["refitted"] is True
    assert about["scratch"] == run(successive, trial, places)["scratch"]
    given = json.loads((places.scratch / "refits" / about["scratch"] / "settings.json").read_text())
    assert given["max_epochs"] == 3
    assert "patience" not in given


def test_the_kept_cells_of_leave_one_out_have_the_keys_of_today() -> None:
    kept = [json.loads(path.read_text()) for path in (cells.RESULTS / "cells").glob("*/loo/*/*.json")]
    for one in kept:
        cell = Cell(**{name: one["cell"][name] for name in ("dataset", "protocol", "model", "trial", "seed")})
        assert one["key"] == cells.key_of(cell, one["data_digest"], one["versions"])
