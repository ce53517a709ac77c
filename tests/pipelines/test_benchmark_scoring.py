"""Tests of the figures of scoring speed."""

from __future__ import annotations

import pandas as pd
import pytest

from pipelines.benchmark import scoring


def test_every_row_takes_its_turn_in_every_round() -> None:
    times = scoring.measure(2, least=1e-4)
    assert sorted(times.groupby("row")["round"].apply(list).map(tuple).unique()) == [(1, 2)]
    assert (times["seconds"] > 0).all()


def test_ratios_are_to_the_rows_they_are_held_against() -> None:
    lines = [("float32 matrix product, 1024", 1.0, 100e9, 0), ("bare SDPA", 1.0, 45e9, 1000)]
    lines += [("plain deep layer", 2.0, 45e9, 1000), ("deep layer", 2.5, 45e9, 1000)]
    times = pd.DataFrame(lines, columns=["row", "seconds", "flop", "pairs"]).assign(round=1)
    found = scoring.summary(times).set_index("row")
    assert found.loc["bare SDPA", "of_matrix_product"] == pytest.approx(0.45)
    assert found.loc["deep layer", "of_plain_layer"] == pytest.approx(0.8)
    assert found.loc["deep layer", "pairs_per_s"] == 400
