"""Which challengers pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recattn.tracking.promotion import promote
from tests.unit.tracking.promotion.conftest import Bench, report


def checks(decision) -> dict[str, bool | None]:
    return {check.name: check.passed for check in decision.checks}


def test_a_first_champion_goes_by_the_absolute_rules(bench: Bench) -> None:
    run = bench.run(report(0, 1))
    decision = promote(run, bench.name, prefix="w1", tracking_uri=bench.uri)
    assert decision.outcome == "promoted"
    assert (decision.version, decision.previous) == ("1", None)
    assert bench.aliases == {"champion": "1"}
    assert checks(decision)["headline"] is None


def test_a_better_challenger_becomes_champion_with_its_evidence(bench: Bench) -> None:
    base, better = bench.run(report(0, 1), report(0, 2)), bench.run(report(0.05, 2))
    promote(base, bench.name, prefix="w1", tracking_uri=bench.uri)
    decision = promote(better, bench.name, prefix="w2", tracking_uri=bench.uri)
    assert decision.outcome == "promoted", decision.reasons
    assert bench.aliases == {"champion": "2"}
    assert bench.tag("2", "decision") == "promoted"
    assert bench.tag("2", "previous_champion") == "1"
    path = (bench.tag("2", "evidence") or "").removeprefix(f"runs:/{better}/")
    kept = json.loads(Path(bench.client.download_artifacts(better, path)).read_text())
    headline = next(check for check in kept["checks"] if check["name"] == "headline")
    assert headline["bound"] > 0
    assert headline["challenger"] - headline["champion"] == pytest.approx(0.05, abs=0.01)
    assert kept["window"]["truth_from"] == "2026-01-02T00:00:00Z"
    assert kept["facts"]["champion"]["truth_sha256"] == f"{2:064x}"
