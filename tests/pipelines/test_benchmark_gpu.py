"""The GPU benchmark: its arithmetic, and its code on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.benchmark import gpu
from pipelines.benchmark.gpu import Variant, main, run
from pipelines.benchmark.gpu_cost import counted_flops, pair_cost
from pipelines.benchmark.gpu_data import make_log, read_or_make
from recattn.config import ModelConfig

CPU = torch.device("cpu")
TINY = {"dim": 8, "num_layers": 1, "max_history": 10}


def test_without_cuda_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 1
    said = capsys.readouterr().err
    assert "sees no CUDA device" in said
    assert "--device cpu --short" in said


def test_an_unknown_variant_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu", "--only", "fp8"]) == 1
    assert "there is no variant 'fp8'. There are: float32; tf32" in capsys.readouterr().err


def test_a_pair_costs_what_it_should() -> None:
    config = ModelConfig(dim=64, num_heads=4, deep_layers=1, score="deep")
    retrieval, attention, deep = (pair_cost(config, 200, stage) for stage in ("retrieval", "attention", "deep"))
    assert (retrieval.flops, retrieval.exps) == (128, 0)
    assert (attention.flops - retrieval.flops, attention.exps) == (51_200 + 128, 800)
    assert (deep.flops - attention.flops, deep.exps) == (51_200 + 14 * 64**2 + 128, 1600)


def test_flops_are_counted_forward_and_backward_and_in_place() -> None:
    x, w = torch.randn(3, 4), torch.randn(4, 5, requires_grad=True)
    assert counted_flops(lambda: x @ w) == 2 * 3 * 4 * 5
    assert counted_flops(lambda: (x @ w).sum().backward()) == 2 * (2 * 3 * 4 * 5)
    assert counted_flops(lambda: torch.zeros(3, 5).addmm_(x, w.detach())) == 2 * 3 * 4 * 5


def test_the_generated_log_has_the_form_of_ml_1m() -> None:
    log = make_log(300, 500, seed=1)
    assert not log.duplicated(["user_id", "item_id"]).any()
    assert (log.groupby("user_id")["timestamp"].diff().dropna() > 0).all()
    lengths = log.groupby("user_id").size()
    assert 40 < lengths.median() < 120
    assert lengths.max() > 2.5 * lengths.median()
    after = log["item_id"].shift(-1)[log["user_id"] == log["user_id"].shift(-1)]
    follows = after.groupby(log["item_id"]).agg(lambda items: items.value_counts().iloc[:4].sum() / len(items))
    assert follows.mean() > 0.3  # there is an order to learn


@pytest.fixture(scope="module")
def found(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A run over three variants, one of which cannot work."""
    folder = tmp_path_factory.mktemp("profile")
    before = torch.get_float32_matmul_precision()
    variants = [Variant("float32"), Variant("bf16", "bf16"), Variant("broken", train={"batch_size": 0})]
    split = read_or_make(None, users=25, items=60)
    values = run(split, CPU, epochs=2, variants=variants, model=TINY, matrix=64, requests=6, profile=folder)
    assert torch.get_float32_matmul_precision() == before
    return values, folder


def test_each_variant_is_timed_and_judged(found: tuple[dict[str, Any], Path]) -> None:
    exact, mixed, _ = found[0]["training"]
    for line in (exact, mixed):
        assert line["epoch_s"] == line["epoch_seconds"][1]
        assert line["flops_per_s"] > 0
        assert line["least_epoch_s"] < line["epoch_s"]
        assert 0 <= line["valid_ndcg_at_10"] <= 1
        assert np.isfinite(line["train_loss"])
    assert mixed["train_loss"] == pytest.approx(exact["train_loss"], rel=0.02)
    assert mixed["train_loss"] != exact["train_loss"]


def test_one_variant_that_fails_does_not_hide_the_others(found: tuple[dict[str, Any], Path]) -> None:
    assert found[0]["training"][2]["error"].startswith("ConfigError: TrainConfig.batch_size")
    assert len(found[0]["scoring"]) == 9


def test_every_score_is_held_against_what_the_device_can_do(found: tuple[dict[str, Any], Path]) -> None:
    for line in found[0]["scoring"]:
        assert line["pairs"] == 6 * found[0]["data"]["items"]
        assert line["share_of_limit"] == pytest.approx(line["pairs_per_s"] / line["limit_pairs_per_s"])
        assert line["same_top"] == 1.0 if line["precision"] == "float32" else line["same_top"] > 0.5
    assert [line["stage"] for line in found[0]["scoring"][::3]] == ["retrieval", "attention", "deep"]


def test_the_profile_names_operations(found: tuple[dict[str, Any], Path]) -> None:
    assert "aten::" in (found[1] / "profile-float32.txt").read_text()


def test_the_command_names_the_hardware_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    monkeypatch.setattr(gpu, "VARIANTS", (Variant("retrieval", score="retrieval"),))
    assert main(["--device", "cpu", "--short", "--out", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("cpu*.json")
    kept = json.loads(file.read_text())
    assert kept["hardware"]["name"].startswith("cpu")
    assert set(kept["limits"]) == {"float32_flops", "tf32_flops", "bf16_flops", "copy_bytes", "exps"}
    assert [line["name"] for line in kept["training"]] == ["retrieval"]
