from __future__ import annotations

import re

import pytest

from recattn.cli.console import talking
from recattn.cli.progress import EpochLines
from recattn.observer import Observer


def test_epoch_lines_is_an_observer() -> None:
    assert isinstance(EpochLines(), Observer)


def test_an_epoch_is_one_line_that_counts_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    with talking():
        lines = EpochLines()
        lines.params({"model.dim": 3})
        lines.metrics({"train/loss": 1.5, "valid/ndcg_at_10": 0.25, "valid/other": 3.0}, step=0)
    assert re.fullmatch(r"epoch 1: loss 1\.5000, valid NDCG@10 0\.2500 \(\d+\.\d s\)\n", capsys.readouterr().err)
