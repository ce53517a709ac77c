"""How often `recattn compare` finds a difference that is not there, and how often a gain of 2 % that is.

    python -m pipelines.benchmark.comparing --repeats 1000 --out comparing.csv

Worlds of two rankers with a known truth, NDCG@10 of one target a request: mostly zeros, the rest skewed. Users have one
or several requests and differ in how easy they are; the rankers give the same answer to a share of the requests.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import geom, norm

from pipelines.command import command
from recattn.comparison.resampling import Spread, Users
from recattn.evaluation.significance import two_sided

LEVEL, RESAMPLES = 0.05, 400
STEP = 0.25  # chance of a hit to stand at a place when it does not stand before
MANY = 200_000  # users whose differences say what theory expects


@dataclasses.dataclass(frozen=True)
class World:
    """How two rankers answer."""

    name: str
    hit: float  # share of requests whose target is among the first ten
    alike: float  # share of requests that both answer alike
    several: bool  # whether users have several requests, 2.5 on average

    def draw(self, users: int, gain: float, rng: np.random.Generator) -> tuple[np.ndarray, Users]:
        """float64 [X] differences of NDCG@10 by request, second minus first, and whose requests they are.

        The second ranker has (1 + gain) times the hits of the first, in the mean, at like ranks.
        """
        counts = rng.geometric(0.4, users) if self.several else np.ones(users, dtype=np.int64)
        of = np.repeat(np.arange(users), counts)
        ease = rng.beta(2 * self.hit, 2 * (1 - self.hit), users)[of]
        luck, alike = rng.random((2, len(of))), rng.random(len(of)) < self.alike
        luck[1, alike] = luck[0, alike]
        ranks = np.minimum(rng.geometric(STEP, (2, len(of))), 10)
        ranks[1, alike] = ranks[0, alike]
        worth = 1 / np.log2(ranks + 1)
        # More hits of the part that is not alike, so many that the whole gains `gain`.
        first, second = luck[0] < ease, luck[1] < ease
        if gain:
            raised = ~second & (rng.random(len(of)) < gain * self.hit / (1 - self.hit))
            second = second | raised
        return second * worth[1] - first * worth[0], Users.of_codes(of)


WORLDS = (
    World("alike", 0.10, 0.8, False),
    World("alike, several requests", 0.05, 0.8, True),
    World("rare hits", 0.02, 0.5, False),
    World("unlike, several requests", 0.30, 0.5, True),
)


def run(
    users: list[int] | None = None, repeats: int = 400, gain: float = 0.02, seed: int = 0, out: str | None = None
) -> None:
    """Print, a row a world and number of users, how often tests at 5 % reject without and with a gain.

    Args:
        users: How many there are.
        repeats: Samples a row.
        gain: Of the mean metric, planted.
        seed: Of all draws.
        out: CSV file for the rows.
    """
    table = pd.DataFrame(rows(users or [200, 1000, 5000], repeats, gain, seed))
    print(table.to_string(index=False, float_format="{:.3f}".format))
    if out:
        table.to_csv(out, index=False)


def rows(users: Sequence[int], repeats: int, gain: float, seed: int) -> Iterator[dict[str, object]]:
    """One row a world and number of users.

    `error` and `power` are shares of samples that are significant without and with the gain; `percentile` is the error
    of the plain percentile interval, `theory` the power of a normal mean of such differences, `noise` the standard
    error of the shares.
    """
    for world in WORLDS:
        shift, deviation = _theory(world, gain, np.random.default_rng([seed, 99]))
        for count in users:
            rng = np.random.default_rng([seed, count])
            null = [_p_values(*world.draw(count, 0.0, rng), number) for number in range(repeats)]
            planted = [_p_values(*world.draw(count, gain, rng), number) for number in range(repeats)]
            error, plain, differ = np.mean([(p < LEVEL, q < LEVEL, n) for p, q, n in null], axis=0)
            away = shift / (deviation / np.sqrt(count))
            edge = norm.ppf(1 - LEVEL / 2)
            yield {
                "world": world.name,
                "users": count,
                "differ": round(float(differ)),
                "error": error,
                "percentile": plain,
                "power": float(np.mean([p < LEVEL for p, _, _ in planted])),
                "theory": float(norm.cdf(away - edge) + norm.cdf(-away - edge)),
                "noise": float(np.sqrt(LEVEL * (1 - LEVEL) / repeats)),
            }


def _p_values(differences: np.ndarray, users: Users, seed: int) -> tuple[float, float, int]:
    """The p-value of `compare`, that of the plain percentile bootstrap, and the users that differ."""
    sums = users.sums(differences)[None]
    spread = Spread.of(sums, np.zeros_like(sums), users.counts)
    drawn = users.resampled(sums.T, RESAMPLES, seed)[:, 0]
    return spread.percentile(drawn, 1 - LEVEL).p_value, two_sided(drawn), spread.differ


def _theory(world: World, gain: float, rng: np.random.Generator) -> tuple[float, float]:
    """The mean difference, by calculation, and its standard deviation a user, in a world with very many."""
    differences, users = world.draw(MANY, gain, rng)
    sums = users.sums(differences)[None]
    deviation = Spread.of(sums, np.zeros_like(sums), users.counts).deviation * np.sqrt(MANY)
    places = np.arange(1, 10)
    chances = np.append(geom.pmf(places, STEP), geom.sf(9, STEP))
    return gain * world.hit * float(chances @ (1 / np.log2(np.arange(2, 12)))), deviation


def main(arguments: Sequence[str] | None = None) -> int:
    return command(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
