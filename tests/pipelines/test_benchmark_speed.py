"""The training-speed benchmark, on a generated world of a few users."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.benchmark import speed_process
from pipelines.benchmark.speed import Settings, environment, main, run, shown, write_data
from pipelines.benchmark.speed_ours import Quality, recent
from pipelines.benchmark.speed_process import EpochClock, ndcg_at_10
from pipelines.benchmark.speed_rows import ROWS, Row, chosen, read_rows, runnable
from pipelines.benchmark.speed_table import epochs_table, quality_table, text_of
from recattn.errors import ConfigError

SMALL = {"score": "retrieval", "dim": 8, "num_layers": 1, "max_history": 10}


def found(*measurements: tuple[str, int, list[float], list[float]], target: float | None = None) -> dict[str, Any]:
    """What a run writes down, for these (row, round, epoch seconds, NDCG curve)."""
    names = list(dict.fromkeys(name for name, *_ in measurements))
    return {
        "command": "python -m pipelines.benchmark.speed",
        "data": {"name": "toy", "users": 3, "items": 4, "interactions": 30},
        "settings": {"core": 0, "threads": 1, "allocator": "glibc", "warm_up": 1, "seed": 0, "target": target},
        "rows": [{"name": name} for name in names],
        "left_out": {"odd": "it cannot run"},
        "machine": {"cpu": "Abacus 3", "cpus": 1, "flags": ["avx2"], "python": "3", "torch": "2", "numpy": "2"},
        "measurements": [
            {
                "row": name,
                "round": number,
                "epoch_seconds": seconds,
                "ndcg_at_10": curve,
                "targets": 20 if "RecTools" in name else 40,
                "steps": 2,
                "peak_bytes": 300 * 2**20,
                "versions": {"lightning": "2.6"},
            }
            for name, number, seconds, curve in measurements
        ],
    }


def test_the_clock_counts_training_and_leaves_validation_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 5.0, 7.0, 9.0, 100.0, 101.5])
    monkeypatch.setattr(speed_process.time, "perf_counter", lambda: next(now))
    clock = EpochClock()
    clock.on_train_epoch_start(None, None)
    clock.on_validation_start(None, None)
    clock.on_validation_end(None, None)
    clock.on_train_epoch_end(None, None)
    clock.on_train_epoch_start(None, None)
    clock.on_train_epoch_end(None, None)
    assert clock.seconds == [7.0, 1.5]


def test_the_clock_waits_for_a_device_that_works_on_its_own() -> None:
    clock = EpochClock(wait=lambda: time.sleep(0.05))
    clock.on_train_epoch_start(None, None)
    clock.on_train_epoch_end(None, None)
    assert clock.seconds[0] >= 0.05


def test_ratios_to_rectools_are_taken_round_by_round() -> None:
    table = epochs_table(
        found(
            ("ours", 0, [1.0], []),
            ("RecTools SASRec", 0, [2.0], []),
            ("ours", 1, [2.0], []),
            ("RecTools SASRec", 1, [8.0], []),
            ("ours", 2, [9.0], []),
            ("RecTools SASRec", 2, [27.0], []),
        )
    ).set_index("row")
    assert table.loc["ours", ["epoch_s", "least_s", "most_s", "rounds"]].tolist() == [2.0, 1.0, 9.0, 3]
    assert table.loc["ours", "times_rectools"] == 3.0
    assert table.loc["ours", "times_rectools_per_target"] == 6.0  # it trains on half the targets
    assert table.loc["ours", "s_per_million"] == 2.0 / 40 * 1e6
    assert table.loc["RecTools SASRec", "times_rectools"] == 1.0


def test_the_time_to_a_quality_ends_with_the_first_epoch_that_reaches_it() -> None:
    what = found(("ours", 0, [1.0, 2.0, 4.0], [0.1, 0.2, 0.15]), ("RecTools SASRec", 0, [5.0], [0.1]), target=0.15)
    table = quality_table(what).set_index("row")
    assert table.loc["ours", ["seconds", "epochs", "best_ndcg_at_10"]].tolist() == [3.0, 2, 0.2]
    assert np.isnan(table.loc["RecTools SASRec", "seconds"])
    assert "first 0.15 or more" in text_of(what, table.reset_index())


def test_the_text_names_machine_command_and_what_was_not_measured() -> None:
    what = found(("ours", 0, [1.0], []))
    text = text_of(what, epochs_table(what))
    for part in ("Abacus 3", "avx2", "`python -m pipelines.benchmark.speed`", "odd: it cannot run", "allocator=glibc"):
        assert part in text


def test_a_row_that_cannot_run_here_says_why(tmp_path: Path) -> None:
    kept, left = runnable([Row("good"), Row("bad", train={"learnin_rate": 1}), Row("away", peer="rectools")], tmp_path)
    assert [row.name for row in kept] == ["good"]
    assert "no key 'learnin_rate'" in left["bad"]
    assert "rectools" in left["away"]


def test_rows_are_data(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([{"name": "wide", "model": {"dim": 128}, "last": 50}]))
    (row,) = read_rows(tmp_path / "rows.json")
    config, train = row.configs(seed=3, max_epochs=2)
    assert (config.dim, config.num_layers, train.seed, train.max_epochs, row.last) == (128, 2, 3, 2, 50)
    (tmp_path / "rows.json").write_text('[{"nam": "wide"}]')
    with pytest.raises(ConfigError, match=r"no rows can be read from .*'nam'"):
        read_rows(tmp_path / "rows.json")
    with pytest.raises(ConfigError, match=r"there is no row 'retrival'\. There are: retrieval; "):
        chosen(ROWS, ["retrival"])


def test_all_processes_get_the_same_threads_and_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    plain = environment(Settings(core=None, threads=2))
    assert "MALLOC_ARENA_MAX" not in plain
    assert plain["OMP_NUM_THREADS"] == plain["MKL_NUM_THREADS"] == "2"
    assert environment(Settings(core=None, allocator="glibc-keep"))["MALLOC_TRIM_THRESHOLD_"] == str(2**32)


def test_the_command_is_shown_without_the_folders() -> None:
    assert shown(["--data", "/home/me/ml-1m", "--rounds", "5"]) == (
        "python -m pipelines.benchmark.speed --data ml-1m --rounds 5"
    )


def test_the_last_interactions_of_a_user_are_the_latest_rows() -> None:
    frame = pd.DataFrame({"user_id": [1, 1, 1, 2], "item_id": [5, 6, 7, 8]})
    assert recent(frame, 2)["item_id"].tolist() == [6, 7, 8]
    assert recent(frame, None) is frame


def test_the_shared_ndcg_is_that_of_evaluate() -> None:
    from recattn.evaluation import NDCG, evaluate

    rng = np.random.default_rng(0)
    best = np.stack([rng.permutation(30)[:10] for _ in range(40)])
    truth = rng.integers(0, 30, 40)
    lists = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(40), 10),
            "item_id": best.reshape(-1),
            "rank": np.tile(np.arange(1, 11), 40),
        }
    )
    report = evaluate(lists, pd.DataFrame({"user_id": np.arange(40), "item_id": truth}), [NDCG(10)])
    assert ndcg_at_10(best, truth) == pytest.approx(report.summary["ndcg_at_10"])
    assert ndcg_at_10(best[:, :3], truth) < ndcg_at_10(best, truth)


def test_quality_is_what_a_recommender_would_be_judged_by(tmp_path: Path, one_thread: None) -> None:
    import lightning as L

    import recattn as ra
    from recattn.dataset.synthetic import make_world
    from recattn.training import LitScorer, Specs, prepare_fit

    log = make_world(n_users=30, n_items=40, mean_interactions=12, seed=1).interactions[
        ["user_id", "item_id", "timestamp"]
    ]
    split = ra.leave_last_out(log, time="order")
    config, settings = Row("toy", SMALL | {"dropout": 0.0}).configs(0, 1)
    data = prepare_fit(split.train, None, None, None, Specs(), config, settings)
    model = ra.Recommender(config, settings).fit(split.train)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    quality = Quality(data, split.train, split.valid, target=0.0)
    quality.on_train_epoch_end(trainer, LitScorer(model.scorer, settings))

    best = model.recommend(split.valid["user_id"], history=split.train, k=10)
    report = ra.evaluate(best, split.valid[["user_id", "item_id"]], [ra.NDCG(10)])
    assert quality.curve == [pytest.approx(report.summary["ndcg_at_10"])]
    assert trainer.should_stop


def test_a_short_run_times_epochs_in_a_process_and_keeps_them(tmp_path: Path) -> None:
    settings = Settings(core=None, warm_up=1, epochs=2)
    table = run([Row("tiny", SMALL)], settings, data=None, rounds=1, peers=tmp_path, out=tmp_path, users=10)
    kept = json.loads((tmp_path / "generated-short.json").read_text())
    (one,) = kept["measurements"]
    assert len(one["epoch_seconds"]) == len(one["train_loss"]) == 2
    assert min(one["epoch_seconds"]) > 0
    assert one["targets"] == kept["data"]["interactions"] == table["targets"].iloc[0]
    assert one["peak_bytes"] > 2**26
    assert kept["machine"]["torch"]
    assert kept["rows"][0]["model"] == SMALL
    assert "| tiny |" in (tmp_path / "generated-short.md").read_text()


def test_the_data_are_each_users_rows_in_order_without_the_last_two(tmp_path: Path) -> None:
    written = write_data(None, tmp_path, users=8)
    train, valid = (pd.read_csv(written["files"][name]) for name in ("train", "valid"))
    assert written["data"]["users"] == train["user_id"].nunique() == len(valid)
    assert (train.groupby("user_id")["timestamp"].diff().dropna() == 1).all()
    assert (valid.set_index("user_id")["timestamp"] > train.groupby("user_id")["timestamp"].max()).all()


def test_the_command_refuses_what_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1"]) == 1
    assert "--data is missing" in capsys.readouterr().err
