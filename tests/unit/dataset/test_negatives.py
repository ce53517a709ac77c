"""Tests of the drawing of negatives."""

from __future__ import annotations

import numpy as np
import pytest

from recattn.dataset.negatives import NegativeSampler
from recattn.errors import ConfigError, DataError

COUNTS = np.array([0, 0, 3, 8, 0])


def shares(sampler: NegativeSampler, n: int = 40_000) -> np.ndarray:
    return np.bincount(sampler.draw(n, np.random.default_rng(1)), minlength=len(COUNTS)) / n


def test_power_0_is_uniform_over_the_catalog_without_padding() -> None:
    sampler = NegativeSampler(COUNTS, 0)
    np.testing.assert_allclose(shares(sampler), [0, 0.25, 0.25, 0.25, 0.25], atol=0.01)
    np.testing.assert_allclose(sampler.log_prob([1, 2, 3, 4]), np.log(0.25), rtol=1e-6)


def test_popularity_is_smoothed_by_one_event_so_that_every_item_has_a_chance() -> None:
    weights = np.array([0, 1, 4, 9, 1])
    np.testing.assert_allclose(shares(NegativeSampler(COUNTS, 1.0)), weights / 15, atol=0.01)
    np.testing.assert_allclose(shares(NegativeSampler(COUNTS, 0.5)), np.sqrt(weights) / 7, atol=0.01)


@pytest.mark.parametrize("power", [0, 0.5, 1, 3.7])
def test_log_probabilities_are_those_of_the_formula_with_minus_infinity_for_padding(power: float) -> None:
    log_prob = NegativeSampler(COUNTS, power).log_prob(np.arange(5))
    weights = (COUNTS[1:] + 1.0) ** power
    assert log_prob.dtype == np.float32
    assert log_prob[0] == -np.inf
    np.testing.assert_allclose(np.exp(log_prob[1:]), weights / weights.sum(), rtol=1e-6)


def test_codes_that_are_not_allowed_are_never_drawn() -> None:
    sampler = NegativeSampler(COUNTS, 1.0, allowed=np.array([True, False, True, True, False]))
    np.testing.assert_allclose(shares(sampler), [0, 0, 4 / 13, 9 / 13, 0], atol=0.01)
    assert sampler.log_prob([[1, 2]]).shape == (1, 2)
    assert sampler.log_prob(4) == -np.inf


def test_the_largest_random_number_still_gives_a_code_of_the_catalog() -> None:
    class Edges:
        def random(self, size: int) -> np.ndarray:
            return np.array([0.0, np.nextafter(1.0, 0.0)])

    for counts in (COUNTS, np.ones(1000, np.int64), np.r_[0, np.full(7, 0.1)]):
        codes = NegativeSampler(counts, 0.3).draw(2, Edges())  # type: ignore[arg-type]
        assert codes.tolist() == [1, len(counts) - 1]
    last = NegativeSampler(COUNTS, 1, allowed=np.arange(5) < 3).draw(2, Edges())  # type: ignore[arg-type]
    assert last.tolist() == [1, 2]


def test_one_seed_gives_one_sequence() -> None:
    sampler = NegativeSampler(COUNTS, 0.5)
    first, second = (sampler.draw((3, 4), np.random.default_rng(7)) for _ in range(2))
    assert first.dtype == np.int64
    assert first.shape == (3, 4)
    assert np.array_equal(first, second)
    assert len(sampler.draw(0, np.random.default_rng(7))) == 0


def test_one_item_is_always_drawn() -> None:
    sampler = NegativeSampler(np.array([0, 5]), 0.5)
    assert sampler.draw(3, np.random.default_rng(0)).tolist() == [1, 1, 1]
    assert sampler.log_prob(1) == 0


def test_counts_are_not_changed() -> None:
    counts = COUNTS.astype(np.float64)
    NegativeSampler(counts, 0.5, allowed=np.arange(5) > 2)
    assert np.array_equal(counts, COUNTS)


def test_nothing_to_draw_is_refused() -> None:
    for counts, allowed in ((np.zeros(1), None), (COUNTS, np.zeros(5, bool))):
        with pytest.raises(DataError, match="no item that may be drawn"):
            NegativeSampler(counts, 0.5, allowed=allowed)


@pytest.mark.parametrize("power", [-0.1, np.nan, np.inf])
def test_an_impossible_power_is_refused(power: float) -> None:
    with pytest.raises(ConfigError, match=f"negatives_power must be at least 0, got {power}"):
        NegativeSampler(COUNTS, power)


def test_a_sample_is_distinct_ascending_and_a_function_of_the_seed() -> None:
    counts = np.arange(200) % 17
    sampler = NegativeSampler(counts, 1.0)
    codes, log_chance = sampler.sample(50, np.random.default_rng(3))
    assert codes.dtype == np.int64
    assert log_chance.dtype == np.float32
    assert 25 < len(codes) < 50
    assert (np.diff(codes) > 0).all()
    assert codes[0] >= 1
    assert codes[-1] <= 199
    again = sampler.sample(50, np.random.default_rng(3))
    assert np.array_equal(codes, again[0])
    assert np.array_equal(log_chance, again[1])
    assert set(codes) == set(sampler.draw(50, np.random.default_rng(3)))


@pytest.mark.parametrize(("most", "power"), [(1, 1.0), (3, 1.0), (3, 0.0), (5, 0.5), (6, 2.0)])
def test_the_chance_of_an_item_is_how_often_samples_have_it(most: int, power: float) -> None:
    counts, seeds = np.array([0, 0, 3, 8, 0, 20, 1, 5]), 6_000
    sampler = NegativeSampler(counts, power, allowed=np.arange(8) != 6)
    seen, told = np.zeros(8), np.full(8, np.nan)
    for seed in range(seeds):
        codes, log_chance = sampler.sample(most, np.random.default_rng(seed))
        assert len(codes) <= most or most >= 6
        seen[codes] += 1
        told[codes] = np.exp(log_chance)
    assert seen[0] == seen[6] == 0
    weights = np.where(np.arange(8) % 6 > 0, (counts + 1.0) ** power, 0)
    share = weights / weights.sum()
    chance = np.ones(8) * (share > 0) if most >= 6 else 1 - (1 - share) ** most
    np.testing.assert_allclose(told[share > 0], chance[share > 0], rtol=1e-5)
    np.testing.assert_allclose(seen / seeds, chance, atol=4 * 0.5 / np.sqrt(seeds))


def test_a_weight_of_one_over_the_chance_estimates_the_sum_over_the_catalog() -> None:
    values = np.array([0, 5.0, 1, 0.5, 7, 2, 3, 9])
    sampler = NegativeSampler(np.array([0, 0, 3, 8, 0, 20, 1, 5]), 0.5)
    sums = []
    for seed in range(4_000):
        codes, log_chance = sampler.sample(4, np.random.default_rng(seed))
        sums.append((values[codes] / np.exp(log_chance)).sum())
    assert np.mean(sums) == pytest.approx(values.sum(), abs=4 * np.std(sums) / np.sqrt(len(sums)))


@pytest.mark.parametrize("most", [4, 5, 1000])
def test_a_catalog_no_larger_than_the_sample_is_taken_whole_with_chance_1(most: int) -> None:
    codes, log_chance = NegativeSampler(COUNTS, 3.0).sample(most, np.random.default_rng(0))
    assert codes.tolist() == [1, 2, 3, 4]
    assert log_chance.tolist() == [0, 0, 0, 0]
    allowed = NegativeSampler(COUNTS, 3.0, allowed=np.array([True, True, False, True, False]))
    assert allowed.sample(most, np.random.default_rng(0))[0].tolist() == [1, 3]


def test_items_of_hardly_any_chance_have_a_finite_log_of_it() -> None:
    sampler = NegativeSampler(np.array([0, 10**9, 10**9, 0, 0]), 1.0)
    for seed in range(200):
        codes, log_chance = sampler.sample(3, np.random.default_rng(seed))
        assert np.isfinite(log_chance).all()
        assert (log_chance <= 0).all()
        assert codes.max() <= 4
