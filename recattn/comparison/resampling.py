"""Users, and seeds of fits, drawn again and again: how far a difference may be chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

DRAWS_AT_ONCE = 1 << 22


@dataclasses.dataclass(frozen=True)
class Users:
    """Who the requests belong to; users are drawn with all their requests, because those are alike."""

    of: np.ndarray  # int64 [X] user of each request, 0 .. U-1
    counts: np.ndarray  # float64 [U] requests of each

    @classmethod
    def of_codes(cls, codes: np.ndarray) -> Users:
        return cls(codes, np.bincount(codes).astype(np.float64))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """float64 [U], `values` [X] summed by user."""
        return np.bincount(self.of, weights=values, minlength=len(self.counts))

    def resampled(self, sums: np.ndarray, n: int, seed: int) -> np.ndarray:
        """float64 [n, C]: means over requests of n draws of U users with replacement; `sums` is float64 [U, C].

        All columns see the same draws, so that their differences are paired.
        """
        columns = np.column_stack([sums, self.counts])
        totals = np.concatenate([weights @ columns for weights in self._draws(n, seed)])
        return totals[:, :-1] / totals[:, -1:]

    def _draws(self, n: int, seed: int) -> Iterator[np.ndarray]:
        """float64 [rows, U]: how often each user was drawn."""
        rng, size = np.random.default_rng(seed), len(self.counts)
        step = max(1, DRAWS_AT_ONCE // size)
        for start in range(0, n, step):
            rows = min(step, n - start)
            drawn = rng.integers(size, size=(rows, size), dtype=np.int32)
            yield np.stack([np.bincount(one, minlength=size) for one in drawn]).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class Effect:
    """A difference of means, what it may be by chance, and what could have been seen."""

    difference: float
    low: float
    high: float
    p_value: float
    deviation: float  # standard error
    differ: int  # users whose difference is not 0


@dataclasses.dataclass(frozen=True)
class Spread:
    """Variance of a difference of means by its sources, each with its degrees of freedom.

    Users differ: the linearised variance of a ratio of sums (Cochran 1977, Sampling techniques, section 6.3) with the
    users that differ at all, less one, as degrees of freedom. Seeds: `seed_variance` of each side's mean over its fits.
    """

    difference: float
    variances: tuple[float, ...]
    freedom: tuple[int, ...]
    differ: int

    @classmethod
    def of(cls, ours: np.ndarray, theirs: np.ndarray, counts: np.ndarray) -> Spread:
        """`ours` and `theirs` are float64 [S, U], a row a seed; `counts` [U] requests of each user."""
        total, kept = counts.sum(), int((counts > 0).sum())
        sums = ours.mean(axis=0) - theirs.mean(axis=0)
        difference = float(sums.sum() / total)
        residuals = sums - difference * counts
        differ = int((np.abs(sums) > 1e-12).sum())
        variances = [float((residuals**2).sum() / total**2) * kept / max(kept - 1, 1)]
        freedom = [max(differ - 1, 1)]
        for side in (ours, theirs):
            if len(side) > 1:
                variances.append(seed_variance(side, counts) / total**2 / len(side))
                freedom.append(len(side) - 1)
        return cls(difference, tuple(variances), tuple(freedom), differ)

    @property
    def deviation(self) -> float:
        return float(np.sqrt(sum(self.variances)))

    @property
    def degrees(self) -> float:
        """Of the sum of the variances, by Satterthwaite (1946)."""
        below = sum(v**2 / df for v, df in zip(self.variances, self.freedom, strict=True))
        return sum(self.variances) ** 2 / below if below > 0 else float(self.freedom[0])

    def normal(self, confidence: float) -> Effect:
        """The effect by Student's t alone, for parts too many to draw for.

        The p-value is never below 2^(1 - m) for m users that differ: chance alone gives all m one sign so often.
        """
        from scipy.stats import t

        deviation, degrees = self.deviation, self.degrees
        half = float(t.ppf((1 + confidence) / 2, degrees)) * deviation
        p_value = float(2 * t.sf(abs(self.difference) / deviation, degrees)) if deviation > 0 else 0.0
        p_value = max(p_value, min(1.0, 2.0 ** (1 - self.differ)))
        low, high = self.difference - half, self.difference + half
        return Effect(self.difference, low, high, p_value, deviation, self.differ)

    def percentile(self, draws: np.ndarray, confidence: float) -> Effect:
        """The effect by the resampled differences `draws` [R], in the expanded percentile interval.

        The percentile interval is too narrow for few users: with 5 to 30 that differ at all, tests at 5 % reject 6 to
        8 % of true nulls. It is taken further out, at the tails that make Student's t of a normal sample, with the
        degrees of freedom of what differs; from a hundred on that is hardly another interval.

        Source: Hesterberg (2015), What teachers should know about the bootstrap, section 3.3, the expanded percentile
        interval; there the sample's size counts.
        """
        from scipy.stats import norm, t

        degrees = self.degrees
        tail = float(norm.sf(t.ppf((1 + confidence) / 2, degrees)))
        low, high = np.quantile(draws, [tail, 1 - tail])
        beyond = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
        share = min(1.0, 2 * (beyond + 1) / (len(draws) + 1))
        p_value = float(2 * t.sf(norm.isf(share / 2), degrees))
        return Effect(self.difference, float(low), float(high), p_value, self.deviation, self.differ)


def seed_variance(sums: np.ndarray, counts: np.ndarray) -> float:
    """Variance of a seed's total beyond what its users' answers vary by themselves; never below 0.

    `sums` is float64 [S, U], a row a seed. What seed and user do together is in the variance between users already, and
    is taken off here, as in an analysis of variance with users and seeds crossed (Searle et al. 1992, chapter 4).
    """
    if len(sums) == 1:
        return 0.0
    totals = sums.sum(axis=1)
    shifts = (totals - totals.mean()) / counts.sum()
    residuals = sums - sums.mean(axis=0) - shifts[:, None] * counts
    together = float((residuals**2).sum()) / (len(sums) - 1)
    return max(0.0, float(np.var(totals, ddof=1)) - together)


def drawable(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums by seed [S, U], scaled about their centre so that drawn seeds vary by `seed_variance`."""
    centre, spread = sums.mean(axis=0), float(np.var(sums.sum(axis=1)))
    scale = np.sqrt(seed_variance(sums, counts) / spread) if spread > 0 else 0.0
    return np.asarray(centre + scale * (sums - centre))


def seed_draws(sizes: Sequence[int], n: int, seed: int) -> list[np.ndarray]:
    """For each contender float64 [n, S]: the weight of each of its S seeds when S are drawn with replacement."""
    rng = np.random.default_rng([seed, 1])
    return [rng.multinomial(size, np.full(size, 1 / size), size=n) / size for size in sizes]
