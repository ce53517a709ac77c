from __future__ import annotations

import numpy as np
import pytest

from recattn.dataset.profile import Profile, drift, length_counts, score_counts


def test_lengths_are_counted_in_bins_that_double() -> None:
    counts = length_counts(np.array([0, 0, 1, 2, 3, 4, 7, 8, 10**6]))
    assert counts.tolist() == [2, 1, 2, 2, 1, *[0] * 11, 1]


def test_scores_are_counted_between_edges_and_those_of_nobody_are_not() -> None:
    assert score_counts(np.array([-1.0, 0.5, 0.5, 2.0, np.nan]), [0.0, 1.0]).tolist() == [1, 2, 1]


def test_drift_is_the_stability_index_less_what_chance_reaches() -> None:
    expected = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert drift([50_000, 50_000], [80_000, 20_000]) == pytest.approx(expected, abs=1e-3)
    assert drift([500, 500], [500, 500]) == 0.0


def test_samples_of_one_population_look_like_drift_once_in_twenty() -> None:
    rng = np.random.default_rng(0)
    for n in (60, 2000):
        found = [
            drift(*(np.bincount(rng.integers(0, 10, size), minlength=10) for size in (500, n))) for _ in range(400)
        ]
        assert np.mean(np.array(found, float) > 0) == pytest.approx(0.05, abs=0.03)


def test_a_bin_that_was_empty_gives_a_finite_distance() -> None:
    found = drift([100, 0], [0, 100])
    assert found is not None
    assert 5 < found < 20
    assert drift([0, 0], [1, 2]) is None
    assert drift([10], [3]) == 0.0


def test_a_profile_comes_back_from_plain_values() -> None:
    profile = Profile(3, 9, 1_700_000_000, (0, 1, 2), (0.5,), (4, 5), 0.25)
    values = profile.to_dict()
    assert values["lengths"] == [0, 1, 2]
    assert Profile.from_dict(values | {"later": 1}) == profile
