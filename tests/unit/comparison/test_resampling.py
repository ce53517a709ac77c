"""Intervals and p-values against theory: nominal error rate, power, and agreement of two ways."""

from __future__ import annotations

import numpy as np
import pytest

from recattn.comparison.resampling import Spread, Users, drawable, seed_draws, seed_variance

RESAMPLES = 400


def p_value(differences: np.ndarray, users: Users, seed: int = 0) -> float:
    sums = users.sums(differences)[None]
    spread = Spread.of(sums, np.zeros_like(sums), users.counts)
    return spread.percentile(users.resampled(sums.T, RESAMPLES, seed)[:, 0], 0.95).p_value


def test_draws_are_of_whole_users() -> None:
    users = Users.of_codes(np.array([0, 0, 1, 2, 2, 2]))
    means = users.resampled(users.sums(np.array([1.0, 1, 0, 0, 0, 0]))[:, None], 4000, 0)[:, 0]
    shares = np.unique(np.round(means, 6))
    # Counts (a, b, c) of three users drawn thrice: 2a / (2a + b + 3c).
    known = {round(2 * a / (2 * a + b + 3 * (3 - a - b)), 6) for a in range(4) for b in range(4 - a)}
    assert set(shares.tolist()) == known


def test_two_ways_to_an_interval_agree_for_many_users() -> None:
    rng = np.random.default_rng(0)
    users = Users.of_codes(np.repeat(np.arange(2000), 2))
    sums = users.sums(rng.normal(0.02, 1, 4000))[None]
    spread = Spread.of(sums, np.zeros_like(sums), users.counts)
    drawn = spread.percentile(users.resampled(sums.T, 4000, 0)[:, 0], 0.95)
    normal = spread.normal(0.95)
    assert drawn.low == pytest.approx(normal.low, abs=0.003)
    assert drawn.high == pytest.approx(normal.high, abs=0.003)
    assert drawn.p_value == pytest.approx(normal.p_value, abs=0.04)


@pytest.mark.parametrize("moved", [0.02, 0.2])
def test_the_error_rate_is_nominal_when_few_or_many_users_differ(moved: float) -> None:
    """400 users of whom 8 or 80 differ, by chance: at 5 %, 400 tests reject 20 ± 4.4."""
    rng, users = np.random.default_rng(3), Users.of_codes(np.arange(400))
    sizes = 1 / np.log2(np.arange(2, 12))
    rejected = 0
    for seed in range(400):
        side = rng.choice([-1, 1], 400) * (rng.random(400) < moved)
        rejected += p_value(side * rng.choice(sizes, 400), users, seed) < 0.05
    assert 2 <= rejected <= 33


def test_the_power_is_that_of_theory() -> None:
    """A gain of 2.8 standard errors is found in 80 % of samples: 160 ± 6 of 200."""
    rng, users = np.random.default_rng(5), Users.of_codes(np.arange(500))
    found = sum(p_value(rng.normal(2.8016 / np.sqrt(500), 1, 500), users, seed) < 0.05 for seed in range(200))
    assert 142 <= found <= 178


def test_few_users_of_one_sign_prove_nothing() -> None:
    users = Users.of_codes(np.arange(200))
    for moved, least in ((1, 0.1), (4, 0.06)):
        differences = np.where(np.arange(200) < moved, 0.5, 0.0)
        assert p_value(differences, users) > least
    sums = np.array([[0.5, 0.5, 0.0]])
    assert Spread.of(sums, np.zeros_like(sums), np.ones(3)).normal(0.95).p_value >= 0.5


def test_seeds_are_drawn_with_the_variance_they_have() -> None:
    sums, counts = np.array([[1.0, 2.0], [3.0, 4.0], [8.0, 9.0]]), np.ones(2)
    weights = seed_draws([3], 20_000, 0)[0]
    means = (weights * drawable(sums, counts).mean(axis=1)).sum(axis=1)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert np.var(means) == pytest.approx(np.var(sums.mean(axis=1), ddof=1) / 3, rel=0.03)


def test_the_variance_of_seeds_is_told_from_that_of_their_users() -> None:
    rng, counts = np.random.default_rng(0), np.ones(400)
    users, noise = rng.normal(0, 1, 400), rng.normal(0, 1, (600, 400))
    assert seed_variance(users + noise, counts) / 400**2 == pytest.approx(0, abs=0.0004)
    shifts = rng.normal(0, 0.3, (600, 1))
    assert seed_variance(users + noise + shifts, counts) / 400**2 == pytest.approx(0.09, rel=0.15)
    assert seed_variance(noise[:1], counts) == 0


@pytest.mark.parametrize("luck", [0.0, 0.05])
def test_the_error_rate_of_several_seeds_is_near_nominal(luck: float) -> None:
    """Three fits a side, with and without luck of the fit: at 5 %, 200 tests reject 10 ± 3.1."""
    rng, users, rejected = np.random.default_rng(1), Users.of_codes(np.arange(200)), 0
    for number in range(200):
        ease = 0.1 + 0.3 * rng.random(200)
        ours, theirs = (
            (rng.random((3, 200)) < ease + rng.normal(0, luck, (3, 1))).astype(np.float64) for _ in range(2)
        )
        sums = np.concatenate([drawable(side, users.counts) for side in (ours, theirs)]).T
        means, weights = users.resampled(sums, RESAMPLES, number), seed_draws([3, 3], RESAMPLES, number)
        drawn = (means[:, :3] * weights[0] - means[:, 3:] * weights[1]).sum(axis=1)
        rejected += Spread.of(ours, theirs, users.counts).percentile(drawn, 0.95).p_value < 0.05
    assert 1 <= rejected <= 20


def test_degrees_of_freedom_are_those_of_the_larger_source() -> None:
    counts = np.ones(1000)
    rng = np.random.default_rng(0)
    quiet = rng.normal(0, 0.01, (1, 1000))
    few_seeds = np.array([[0.0], [5.0], [10.0]]) + quiet
    assert Spread.of(few_seeds, quiet, counts).degrees == pytest.approx(2, abs=0.1)
    assert Spread.of(quiet, np.zeros((1, 1000)), counts).degrees == pytest.approx(999)
