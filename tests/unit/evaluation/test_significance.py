"""Bootstrap intervals against what is known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.evaluation import MRR, HitRate, Report, evaluate, mean_interval, paired_bootstrap


def report_of(hits: np.ndarray, *, users: np.ndarray | None = None, item: str = "a") -> Report:
    """A report whose request x hits at rank 1 where `hits[x]`."""
    requests = np.arange(len(hits))
    who = requests if users is None else users
    truth = pd.DataFrame({"request_id": requests, "user_id": who, "item_id": item})
    found = truth.assign(item_id=np.where(hits, item, "miss"), rank=1)
    return evaluate(found, truth, [HitRate(1), MRR(1)])


def test_interval_of_a_share_has_the_width_of_the_binomial() -> None:
    hits = np.arange(400) % 4 == 0
    interval = mean_interval(report_of(hits), "hit_rate_at_1")
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert interval.mean == 0.25
    assert interval.low == pytest.approx(0.25 - half, abs=0.006)
    assert interval.high == pytest.approx(0.25 + half, abs=0.006)
    assert str(interval).startswith("hit_rate_at_1 0.2500 [")


def test_interval_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap

    hits = np.random.default_rng(5).random(300) < 0.4
    ours = mean_interval(report_of(hits), "mrr_at_1", n_resamples=4000)
    theirs = bootstrap(
        (hits.astype(float),),
        np.mean,
        n_resamples=4000,
        method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.008)
    assert ours.high == pytest.approx(theirs.high, abs=0.008)


def test_reports_that_agree_everywhere_do_not_differ() -> None:
    hits = np.arange(50) % 2 == 0
    comparison = paired_bootstrap(report_of(hits), report_of(hits), "mrr_at_1")
    assert (comparison.difference, comparison.low, comparison.high, comparison.p_value) == (0, 0, 0, 1)


def test_clear_difference_has_an_interval_away_from_zero() -> None:
    rng = np.random.default_rng(0)
    weak = rng.random(300) < 0.2
    strong = weak | (rng.random(300) < 0.2)
    comparison = paired_bootstrap(report_of(strong), report_of(weak), "hit_rate_at_1")
    assert comparison.difference == pytest.approx(strong.mean() - weak.mean())
    assert 0 < comparison.low < comparison.difference < comparison.high
    assert comparison.p_value == pytest.approx(2 / 2001)


def test_swapping_the_reports_turns_the_sign() -> None:
    rng = np.random.default_rng(1)
    first, second = report_of(rng.random(80) < 0.5), report_of(rng.random(80) < 0.4)
    there = paired_bootstrap(first, second, "mrr_at_1")
    back = paired_bootstrap(second, first, "mrr_at_1")
    assert (back.difference, back.low, back.high) == pytest.approx((-there.difference, -there.high, -there.low))
    assert back.p_value == there.p_value


def test_p_value_is_rarely_small_when_both_are_the_same_by_chance() -> None:
    small = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        first, second = report_of(rng.random(60) < 0.5), report_of(rng.random(60) < 0.5)
        small += paired_bootstrap(first, second, "mrr_at_1", n_resamples=300).p_value < 0.05
    assert small <= 8  # 5 % of 60 is 3; more than 8 has a chance below 1 %


def test_comparison_is_the_same_for_the_same_seed_only() -> None:
    rng = np.random.default_rng(2)
    first, second = report_of(rng.random(90) < 0.5), report_of(rng.random(90) < 0.4)
    assert paired_bootstrap(first, second, "mrr_at_1") == paired_bootstrap(first, second, "mrr_at_1")
    assert paired_bootstrap(first, second, "mrr_at_1") != paired_bootstrap(first, second, "mrr_at_1", seed=1)


def test_requests_of_one_user_are_resampled_together() -> None:
    hits = np.repeat(np.arange(40) % 2 == 0, 25)
    alone = mean_interval(report_of(hits), "hit_rate_at_1")
    together = mean_interval(report_of(hits, users=np.repeat(np.arange(40), 25)), "hit_rate_at_1")
    assert (alone.resampled, together.resampled, together.requests) == (1000, 40, 1000)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_requests_are_paired_whatever_the_order_of_the_rows() -> None:
    hits = np.random.default_rng(4).random(40) < 0.5
    first = report_of(hits)
    second = Report(first.summary, first.per_request.iloc[::-1], first.policy)
    assert paired_bootstrap(first, second, "mrr_at_1").low == 0


def test_reports_on_other_truth_or_rules_are_refused() -> None:
    hits = np.ones(5, dtype=bool)
    with pytest.raises(DataError, match=r"truth_sha256 is '.*' in the first but '.*' in the second"):
        paired_bootstrap(report_of(hits), report_of(hits, item="b"), "mrr_at_1")
    first = report_of(hits)
    other = Report(first.summary, first.per_request, {**first.policy, "seen": "drop"})
    with pytest.raises(DataError, match="seen is 'keep' in the first but 'drop' in the second"):
        paired_bootstrap(first, other, "mrr_at_1")


def test_unknown_metric_names_the_nearest() -> None:
    report = report_of(np.ones(3, dtype=bool))
    with pytest.raises(ConfigError, match=r"Did you mean 'mrr_at_1'\?"):
        paired_bootstrap(report, report, "mrr_at_10")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_resamples": 0}, "n_resamples must be at least 1"),
        ({"confidence": 95}, "confidence must lie between 0 and 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mean_interval(report_of(np.ones(3, dtype=bool)), "mrr_at_1", **settings)  # type: ignore[arg-type]
