"""Contenders set beside a reference: who is better, for whom, and when that may not be said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from recattn.comparison import Contender, compare
from recattn.errors import ConfigError, DataError
from recattn.evaluation import Report, holm, paired_bootstrap

MakeReport = Callable[..., Report]


def test_difference_and_interval_are_those_of_the_paired_bootstrap(make_report: MakeReport) -> None:
    base, better = make_report(0.3), make_report(0.5, seed=1)
    [found] = compare({"base": base, "better": better}).headline.to_dict("records")
    known = paired_bootstrap(better, base, "ndcg_at_10")
    assert found["difference"] == pytest.approx(known.difference)
    assert found["low"] == pytest.approx(known.low, abs=0.003)
    assert found["high"] == pytest.approx(known.high, abs=0.003)
    assert found["significant"]
    assert found["value"] - found["reference"] == pytest.approx(found["difference"])


def test_p_values_of_the_headline_are_corrected_for_all_comparisons_made(make_report: MakeReport) -> None:
    reports = {f"r{seed}": make_report(0.3 + 0.03 * seed, seed=seed) for seed in range(4)}
    result = compare(reports, metric="mrr_at_10")
    rows = result.effects[result.effects["metric"] == "mrr_at_10"]
    assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p_value"].tolist()).tolist())
    assert result.effects.loc[result.effects["metric"] == "ndcg_at_10", "p_holm"].isna().all()
    assert len(rows) == 3


def test_requests_without_a_value_are_left_out_of_that_metric_alone(make_report: MakeReport) -> None:
    base, other = make_report(0.3), make_report(0.5, seed=1)
    gaps = other.per_request.assign(
        mrr_at_10=other.per_request["mrr_at_10"].mask(np.arange(len(other.per_request)) < 9)
    )
    effects = compare({"base": base, "other": dataclasses.replace(other, per_request=gaps)}).effects.set_index("metric")
    kept = gaps["mrr_at_10"].notna()
    wanted = (gaps["mrr_at_10"] - base.per_request["mrr_at_10"])[kept].mean()
    assert effects.loc["mrr_at_10", "difference"] == pytest.approx(wanted)
    assert effects.loc["mrr_at_10", "low"] < wanted < effects.loc["mrr_at_10", "high"]
    assert effects["requests"].to_dict() == {"ndcg_at_10": len(gaps), "mrr_at_10": len(gaps) - 9} | {
        name: len(gaps) for name in effects.index.difference(["ndcg_at_10", "mrr_at_10"])
    }
    none = dataclasses.replace(other, per_request=gaps.assign(mrr_at_10=np.nan))
    with pytest.raises(DataError, match="mrr_at_10 has a value for no request"):
        compare({"base": base, "other": none}, metric="mrr_at_10")


def test_many_contenders_can_still_be_significant(make_report: MakeReport) -> None:
    reports = {"base": make_report(0.2)} | {f"r{seed}": make_report(0.6, seed=seed) for seed in range(1, 31)}
    assert compare(reports).headline["significant"].all()


def test_equal_contenders_do_not_differ(make_report: MakeReport) -> None:
    result = compare({"a": make_report(0.4), "b": make_report(0.4)})
    [row] = result.headline.to_dict("records")
    assert (row["difference"], row["low"], row["high"], row["differ"], row["significant"]) == (0, 0, 0, 0, False)
    assert result.verdicts() == ["b is equal to a in every request."]


def test_order_of_rows_does_not_matter(make_report: MakeReport) -> None:
    base, other = make_report(0.3), make_report(0.5, seed=1)
    turned = dataclasses.replace(other, per_request=other.per_request.iloc[::-1].reset_index(drop=True))
    there, back = (compare({"a": base, "b": report}) for report in (other, turned))
    pd.testing.assert_frame_equal(there.effects, back.effects)
    pd.testing.assert_frame_equal(there.segments, back.segments)


def test_an_effect_planted_in_one_segment_is_found_there_alone(make_report: MakeReport) -> None:
    base = make_report(0.3)
    cold = base.per_request["cold"]
    moved = base.per_request.assign(ndcg_at_10=base.per_request["ndcg_at_10"] + 0.1 * cold * (np.arange(600) % 4 > 0))
    other = Report({**base.summary, "ndcg_at_10": float(moved["ndcg_at_10"].mean())}, moved, base.policy)
    segments = compare({"base": base, "other": other}).segments
    by = segments[segments["column"] == "cold"].set_index("segment")
    assert by.loc["yes", "difference"] == pytest.approx(0.075, abs=0.005)
    assert by.loc["yes", "significant"]
    assert by.loc["no", ["difference", "low", "high", "p_value", "significant"]].tolist() == [0, 0, 0, 1, False]
    assert by["requests"].sum() == 600
    assert set(segments["column"]) == {"history_length", "cold"}


def test_luck_of_seeds_widens_the_interval(make_report: MakeReport) -> None:
    ours = [make_report(found, seed=seed) for seed, found in enumerate((0.30, 0.45, 0.60))]
    theirs = [make_report(found, seed=seed + 9) for seed, found in enumerate((0.25, 0.40, 0.55))]
    alone = compare({"theirs": theirs[1], "ours": ours[1]}).headline.iloc[0]
    grouped = compare({"theirs": theirs, "ours": ours}).headline.iloc[0]
    assert grouped["high"] - grouped["low"] > 3 * (alone["high"] - alone["low"])
    assert grouped["value"] == pytest.approx(np.mean([report.summary["ndcg_at_10"] for report in ours]))


def test_the_reference_can_be_named_or_be_the_best_on_validation(make_report: MakeReport) -> None:
    sides = [
        Contender(name, (make_report(0.4, seed=s),), valid=v)
        for s, (name, v) in enumerate({"a": 0.1, "b": 0.2}.items())
    ]
    assert compare(sides).reference == "a"
    assert compare(sides, reference="b").effects["contender"].unique().tolist() == ["a"]
    assert compare(sides, reference="best").reference == "b"
    with pytest.raises(ConfigError, match="'c' is no contender"):
        compare(sides, reference="c")


def test_other_truth_or_rules_are_refused_with_what_differs(make_report: MakeReport) -> None:
    base = make_report(0.3)
    with pytest.raises(DataError, match=r"ties is 'exclude' in a, but 'order' in b"):
        compare({"a": base, "b": make_report(0.3, ties="order")})
    with pytest.raises(DataError, match="600 of 600 requests in common"):
        compare({"a": base, "b": make_report(0.3, users=301)})
    strange = make_report(0.3, users=299)
    strange.per_request["request_id"] += 10_000
    with pytest.raises(DataError, match=r"truth_sha256 is .* no user or request in common"):
        compare({"a": base, "b": strange})
    salted = make_report(0.3)
    salted.per_request["request_id"] += 10_000
    with pytest.raises(DataError, match="RECATTN_HASH_SALT"):
        compare({"a": base, "b": salted})


def test_what_differs_without_harm_is_noted(make_report: MakeReport) -> None:
    reports = (make_report(0.3),), (make_report(0.4),)
    reports[1][0].policy["k"] = "10,20"
    a, b = (
        Contender(name, one, circumstances={"torch": version})
        for name, one, version in zip("ab", reports, ("2.1", "2.2"), strict=True)
    )
    notes = compare([a, b]).notes
    assert "k is '10' in a, but '10,20' in b." in notes
    assert "torch is '2.1' in a, but '2.2' in b." in notes
    del reports[1][0].policy["ties"]
    assert compare([a, b]).notes[0].startswith("ties is not recorded for b")


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a"], "at least two contenders, got 1"), ([], "got 0"), (["a", "a"], "'a' is there more than once")],
)
def test_fewer_than_two_contenders_or_equal_names_are_refused(
    make_report: MakeReport, names: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compare([Contender(name, (make_report(0.3),)) for name in names])


def test_a_metric_that_is_not_shared_is_named(make_report: MakeReport) -> None:
    sides = {"a": make_report(0.3), "b": make_report(0.4)}
    with pytest.raises(ConfigError, match=r"'ndcg_at_1' is not in all reports\. Did you mean 'ndcg_at_10'"):
        compare(sides, metric="ndcg_at_1")


def test_json_holds_everything_and_only_what_differs_of_settings(make_report: MakeReport) -> None:
    a = Contender("a", (make_report(0.3),), params={"dim": "32", "seed": "1"}, cost={"fit_seconds": 3.0})
    b = Contender("b", (make_report(0.5),), params={"dim": "64", "seed": "1"}, curves={"valid/loss": {0: 1.0}})
    read = json.loads(compare([a, b]).to_json())
    assert read["params"] == [{"setting": "dim", "a": "32", "b": "64"}]
    assert read["cost"] == [{"contender": "a", "fit_seconds": 3.0}, {"contender": "b", "fit_seconds": None}]
    assert read["curves"] == {"b": {"valid/loss": {"0": 1.0}}}
    assert read["metric"] == "ndcg_at_10"
    assert len(read["effects"]) == 2


def test_names_are_escaped_in_notebooks(make_report: MakeReport) -> None:
    html = compare({"a": make_report(0.3), "<script>": make_report(0.5)})._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
