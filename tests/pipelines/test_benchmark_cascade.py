"""The trade-off of the cascade, of a small model whose scores disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import recattn as ra
from pipelines.benchmark.cascade import curve, last_requests, main
from recattn.dataset.synthetic import make_world
from recattn.inference.artifact import load_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, one_thread: None, stir: Any) -> tuple[Path, pd.DataFrame]:
    """A stirred model fitted without each user's last two interactions, and the whole log."""
    log = make_world(n_users=60, n_items=60, mean_interactions=12, seed=2).interactions
    config = ra.ModelConfig(dim=8, num_layers=1, max_history=10, score="deep", attention="heads")
    model = ra.Recommender(config, ra.TrainConfig(max_epochs=1)).fit(ra.leave_last_out(log).train)
    stir(model)
    with torch.no_grad():
        model.scorer.deep_out.weight *= 10
    path = tmp_path_factory.mktemp("cascade") / "model"
    model.save(path)
    return path, log


def test_keeping_more_loses_less_and_keeping_all_loses_nothing(saved: tuple[Path, pd.DataFrame]) -> None:
    model = load_model(saved[0])
    size = int(model.blueprint.table.recommendable.sum())
    assembler, requests, truth = last_requests(model, ra.read_interactions(saved[1]), 1000)
    table = curve(model, assembler, requests, truth, kept=[size - 1, 20, 40, 500], repeats=1)
    assert table["kept"].tolist() == [20, 40, size - 1, size]
    assert table["recall"].is_monotonic_increasing
    assert table["overlap"].is_monotonic_increasing
    assert table["overlap"].iloc[-1] == 1.0
    assert table["overlap"].iloc[0] < 1.0
    assert table["loss"].iloc[-1] == 0.0
    np.testing.assert_allclose(table["ndcg_at_20"] + table["loss"], table["ndcg_at_20"].iloc[-1])
    assert (table["ms"] > 0).all()


def test_the_exhaustive_figure_is_that_of_evaluate(saved: tuple[Path, pd.DataFrame]) -> None:
    model = load_model(saved[0])
    assembler, requests, truth = last_requests(model, ra.read_interactions(saved[1]), 1000)
    table = curve(model, assembler, requests, truth, kept=[], repeats=1)
    split = ra.leave_last_out(saved[1], ties="exclude")
    found = ra.Recommender.load(saved[0]).recommend(split.requests("test"), history=split.history("test"), k=20)
    report = ra.evaluate(found, split.truth("test"), [ra.NDCG(20)], seen="drop")
    assert table["ndcg_at_20"].tolist() == [pytest.approx(report.summary["ndcg_at_20"], rel=1e-5)]


def test_at_most_so_many_requests_are_asked(saved: tuple[Path, pd.DataFrame]) -> None:
    model = load_model(saved[0])
    _, requests, truth = last_requests(model, ra.read_interactions(saved[1]), 7)
    assert 4 <= len(requests) == len(truth) <= 7
    assert (np.diff(requests.lengths) >= 0).all()


def test_the_command_writes_a_table_and_a_picture(
    saved: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, log = saved
    log.to_parquet(tmp_path / "log.parquet")
    given = ["--log", str(tmp_path / "log.parquet"), "--requests", "20", "--kept", "20", "30", "--out", str(tmp_path)]
    assert main(["--model", str(path), *given]) == 0
    assert pd.read_csv(tmp_path / "cascade.csv")["kept"].tolist()[:2] == [20, 30]
    assert (tmp_path / "cascade.png").stat().st_size > 10_000
    assert "recall" in capsys.readouterr().out


def test_a_retrieval_model_has_no_cascade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = make_world(n_users=20, n_items=20, mean_interactions=6, seed=0).interactions
    config = ra.ModelConfig(dim=4, num_layers=0, num_heads=1, score="retrieval")
    ra.Recommender(config, ra.TrainConfig(max_epochs=1)).fit(log).save(tmp_path / "model")
    log.to_parquet(tmp_path / "log.parquet")
    assert main(["--model", str(tmp_path / "model"), "--log", str(tmp_path / "log.parquet")]) == 1
    assert "retrieval score only" in capsys.readouterr().err
