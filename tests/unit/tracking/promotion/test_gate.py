"""Which challengers pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recattn.tracking.promotion import Decision, Guards, Rules, promote
from tests.unit.tracking.promotion.conftest import Bench, report


def checks(decision: Decision) -> dict[str, bool | None]:
    return {check.name: check.passed for check in decision.checks}


def failed(decision: Decision) -> list[str]:
    return [name for name, passed in checks(decision).items() if passed is False]


def test_a_first_champion_goes_by_the_absolute_rules(bench: Bench) -> None:
    decision = bench.promote(bench.run(report(0, 1)), 1)
    assert decision.outcome == "promoted"
    assert (decision.version, decision.previous) == ("1", None)
    assert bench.aliases == {"champion": "1"}
    assert checks(decision)["headline"] is None
    assert "no champion: this promotion goes by the absolute rules only" in json.dumps(decision.to_dict())


def test_a_first_champion_below_an_absolute_rule_is_refused(bench: Bench) -> None:
    run = bench.run(report(0, 1))
    decision = bench.promote(run, 1, Rules(minimum=0.9), Guards(size_limit=999, latency_limit=0.02))
    assert failed(decision) == ["minimum", "size"]
    assert bench.aliases == {"challenger": "1"}


def test_a_better_challenger_becomes_champion_with_its_evidence(bench: Bench) -> None:
    better = bench.run(report(0.05, 2))
    bench.champion()
    decision = bench.promote(better, 2)
    assert decision.outcome == "promoted", decision.reasons
    assert bench.aliases == {"champion": "2"}
    assert bench.tag("2", "decision") == "promoted"
    assert bench.tag("2", "previous_champion") == "1"
    assert (bench.tag("2", "check.size") or "").startswith("holds: cost/parameters is 1000")
    path = (bench.tag("2", "evidence") or "").removeprefix(f"runs:/{better}/")
    kept = json.loads(Path(bench.client.download_artifacts(better, path)).read_text())
    headline = next(check for check in kept["checks"] if check["name"] == "headline")
    assert headline["bound"] > 0
    assert headline["p_value"] <= 0.05
    assert headline["challenger"] - headline["champion"] == pytest.approx(0.05, abs=0.01)
    assert kept["window"]["truth_from"] == "2026-01-02T00:00:00Z"
    assert kept["facts"]["champion"]["truth_sha256"] == f"{2:064x}"
    assert (kept["version"], kept["previous"], kept["dry_run"]) == ("2", "1", False)


def test_a_version_that_is_registered_already_is_taken(bench: Bench) -> None:
    bench.champion()
    run = bench.run(report(-0.05, 2), report(0.05, 3))
    assert bench.promote(run, 2).version == "2"
    assert bench.promote(run, 3).version == "2"
    assert bench.aliases == {"champion": "2"}


@pytest.mark.parametrize("gain", [0.0, -0.05])
def test_a_challenger_that_is_no_better_stays_challenger(bench: Bench, gain: float) -> None:
    bench.champion()
    decision = bench.promote(bench.run(report(gain, 2)), 2)
    assert "headline" in failed(decision)
    assert bench.aliases == {"champion": "1", "challenger": "2"}
    assert bench.tag("2", "decision") == "refused"
    assert (bench.tag("2", "check.headline") or "").startswith("fails: ndcg_at_10 differs by")


def test_a_gain_below_the_minimal_effect_is_none(bench: Bench) -> None:
    bench.champion()
    decision = bench.promote(bench.run(report(0.05, 2)), 2, Rules(minimal_effect=0.06))
    assert failed(decision) == ["headline"]


def test_data_of_an_earlier_decision_is_not_used_again(bench: Bench) -> None:
    bench.champion()
    bench.promote(bench.run(report(-0.05, 2)), 2)
    again = bench.promote(bench.run(report(0.05, 2)), 2)
    assert failed(again) == ["window"]
    assert not again.spent
    assert "(refused, by" in again.reasons[0]
    assert "headline" not in checks(again), "the test is not even made"


def test_other_truth_of_the_same_days_is_the_same_window(bench: Bench) -> None:
    days = {"truth_from": "2026-01-01T12:00:00Z", "truth_until": "2026-01-02T12:00:00Z"}
    first = bench.run(report(0, 1), report(0, 2, **days))
    bench.promote(first, 1)
    assert failed(bench.promote(bench.run(report(0.05, 2, **days)), 2)) == ["window"]


def test_a_dry_run_decides_and_writes_nothing(bench: Bench) -> None:
    bench.champion()
    before = bench.client.get_registered_model(bench.name)
    challenger = bench.run(report(0.05, 2))
    decision = bench.promote(challenger, 2, dry_run=True)
    assert (decision.outcome, decision.dry_run, decision.version) == ("promoted", True, None)
    after = bench.client.get_registered_model(bench.name)
    assert (after.tags, after.aliases) == (before.tags, before.aliases)
    assert len(bench.client.search_model_versions(f"name = '{bench.name}'")) == 1
    assert not [one for one in bench.client.list_artifacts(challenger) if one.path == "promotion"]
    assert bench.promote(challenger, 2).outcome == "promoted"


def test_evidence_expires_and_then_uses_nothing_up(bench: Bench) -> None:
    bench.champion()
    challenger = bench.run(report(0.05, 2))
    stale = bench.promote(challenger, 2, Rules(max_age_days=0))
    assert failed(stale) == ["fresh"]
    assert bench.promote(challenger, 2).outcome == "promoted"


def test_few_users_are_no_evidence(bench: Bench) -> None:
    bench.champion(report(0, 1, users=50), report(0, 2, users=50))
    assert failed(bench.promote(bench.run(report(0.05, 2, users=50)), 2)) == ["users"]


@pytest.mark.parametrize(
    ("guard", "made", "costs"),
    [
        ("coverage", {"coverage": 0.4}, {}),
        ("short_history", {"short_gain": -0.03}, {}),
        ("latency", {}, {"seconds": 4.0}),
        ("size", {}, {"parameters": 1600.0}),
    ],
)
def test_a_guard_refuses_what_the_headline_gained(bench: Bench, guard: str, made: dict, costs: dict) -> None:
    bench.champion()
    decision = bench.promote(bench.run(report(0.1, 2, **made), **costs), 2)
    assert checks(decision)["headline"]
    assert failed(decision) == [guard]


def test_a_loss_within_the_margins_passes(bench: Bench) -> None:
    bench.champion()
    run = bench.run(report(0.1, 2, coverage=0.48, short_gain=0.001), seconds=3.6, parameters=1400)
    assert bench.promote(run, 2).outcome == "promoted"


def test_a_figure_that_is_missing_refuses_unless_told_otherwise(bench: Bench) -> None:
    bench.champion()
    run = bench.run(report(0.05, 2), parameters=None)
    for guards, wrong in [
        (Guards(), ["size"]),
        (Guards(missing="skip"), []),
        (Guards(size=None), []),
    ]:
        decision = bench.promote(run, 2, guards=guards, dry_run=True)
        assert failed(decision) == wrong
    assert "the challenger's run does not have cost/parameters" in bench.promote(run, 2).reasons[0]


def test_the_same_evidence_gives_the_same_decision(bench: Bench) -> None:
    bench.champion()
    run = bench.run(report(0.002, 2))
    one, other = (bench.promote(run, 2, dry_run=True) for _ in range(2))
    assert one.checks == other.checks


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong, message in [
        ({"level": 0.7}, "rules.level must lie between 0 and 0.5"),
        ({"level": 0.001}, "n_resamples=2000 are too few for level 0.001: give at least 20000"),
        ({"minimal_effect": -1}, "rules.minimal_effect must not be negative"),
        ({"min_users": 1}, "rules.min_users must be at least 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            Rules(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"guards\.size_margin must not be negative"):
        Guards(size_margin=-0.1)


def test_promote_takes_what_names_a_run(bench: Bench) -> None:
    run = bench.run(report(0, 1))
    done = promote(f"runs:/{run}", bench.name, prefix="w1", tracking_uri=bench.uri)
    assert done.run_id == run
