"""The bootstrap over seeds and users against what is known of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.evaluation import Report, holm, paired_bootstrap, seeded_bootstrap, seeded_interval

METRIC = "ndcg_at_10"
POLICY = {"key": "request_id", "truth_sha256": "a", "seen": "drop"}


def reports(values: np.ndarray, users: np.ndarray | None = None) -> list[Report]:
    """One report a row of `values` [seeds, requests]."""
    requests = np.arange(values.shape[1])
    who = requests if users is None else users
    known = pd.DataFrame({"request_id": requests, "user_id": who})
    return [Report({METRIC: float(row.mean())}, known.assign(**{METRIC: row}), dict(POLICY)) for row in values]


def model(rng: np.random.Generator, users: np.ndarray, lead: float = 0.0, seeds: int = 5) -> list[Report]:
    """Requests as hard as `users` say, seeds of a luck of their own, noise in each cell."""
    luck = rng.normal(0, 0.03, size=(seeds, 1))
    return reports(0.3 + lead + users + luck + rng.normal(0, 0.2, size=(seeds, len(users))))


def test_models_that_differ_by_chance_are_rarely_told_apart() -> None:
    found = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        hard = rng.normal(0, 0.2, 100)
        found += seeded_bootstrap(model(rng, hard), model(rng, hard), METRIC, n_resamples=300).p_value < 0.05
    assert found <= 11  # 5 % of 120 is 6; more than 11 has a chance below 2 %


def test_users_alone_would_take_the_luck_of_a_seed_for_a_gain() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 0.2, 2000)
    first, second = (reports(0.3 + hard + luck + np.zeros((1, 2000))) for luck in (0.02, -0.02))
    assert paired_bootstrap(first[0], second[0], METRIC, n_resamples=200).p_value < 0.02
    lucky = [reports(0.3 + hard + rng.normal(0, 0.03, size=(4, 1)) + np.zeros((4, 2000))) for _ in range(2)]
    found = seeded_bootstrap(*lucky, METRIC)
    assert found.high - found.low > 2 * 1.96 * 0.03 * np.sqrt(2 / 4) * 0.4  # the width of the luck, not of users: 0
    assert found.low < 0 < found.high


def test_a_planted_gain_is_found_with_its_size() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.2, 400)
    found = seeded_bootstrap(model(rng, hard, lead=0.1), model(rng, hard), METRIC)
    assert found.difference == pytest.approx(0.1, abs=0.05)
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.01
    assert (found.requests, found.resampled) == (400, 400)


def test_one_seed_each_gives_what_the_paired_bootstrap_gives() -> None:
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(60), 5)
    first, second = (reports(rng.random((1, 300)), users) for _ in range(2))
    ours = seeded_bootstrap(first, second, METRIC, n_resamples=4000)
    plain = paired_bootstrap(first[0], second[0], METRIC, n_resamples=4000)
    assert ours.difference == pytest.approx(plain.difference)
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), abs=0.006)
    assert ours.resampled == 60


def test_the_spread_over_seeds_is_that_of_their_mean() -> None:
    luck = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
    found = seeded_interval(reports(0.5 + luck[:, None] + np.zeros((5, 50))), METRIC, n_resamples=20_000)
    assert found.mean == pytest.approx(0.5)
    assert found.high - found.low == pytest.approx(2 * 1.96 * luck.std(ddof=1) / np.sqrt(5), rel=0.1)


def test_swapping_the_models_turns_the_sign() -> None:
    rng = np.random.default_rng(2)
    first, second = reports(rng.random((3, 80))), reports(rng.random((2, 80)))
    there, back = seeded_bootstrap(first, second, METRIC), seeded_bootstrap(second, first, METRIC)
    assert back.difference == pytest.approx(-there.difference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.02)


def test_reports_are_paired_whatever_the_order_of_their_rows() -> None:
    values = np.random.default_rng(4).random((2, 30))
    first, second = reports(values), reports(values)
    turned = [Report(one.summary, one.per_request.iloc[::-1], one.policy) for one in second]
    found = seeded_bootstrap(first[:1], turned[:1], METRIC)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_models_judged_otherwise_or_not_at_all_are_refused() -> None:
    first = reports(np.ones((2, 4)))
    other = [Report(one.summary, one.per_request, one.policy | {"truth_sha256": "b"}) for one in first]
    with pytest.raises(DataError, match="truth_sha256 is 'a' in the first but 'b' in the second"):
        seeded_bootstrap(first, other, METRIC)
    with pytest.raises(DataError, match="no reports"):
        seeded_bootstrap(first, [], METRIC)
    with pytest.raises(ConfigError, match="confidence"):
        seeded_bootstrap(first, first, METRIC, confidence=95)


def test_holm_equals_hand_values() -> None:
    found = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    assert holm([]).shape == (0,)
