"""Whether the challenger is better, by the metric that counts."""

from __future__ import annotations

from recattn.errors import ConfigError, DataError, listed
from recattn.evaluation import Report, mean_interval, paired_bootstrap
from recattn.evaluation.significance import Comparison, check_agree, groups_of
from recattn.schema.columns import USER
from recattn.tracking.promotion.decision import Check
from recattn.tracking.promotion.rules import Rules


def check_comparable(challenger: Report, champion: Report, metric: str) -> None:
    """DataError unless both judged the same requests by the same rules, and have the metric for each of them."""
    check_agree(challenger, champion)
    ours, theirs = challenger.values(metric), champion.values(metric)
    strange = ours.index.difference(theirs.index)
    if len(strange) or len(ours) != len(theirs):
        raise DataError(
            f"the reports do not name the same requests: {len(strange)} of the challenger's {len(ours)} are not among "
            f"the champion's {len(theirs)} ({listed(strange[:3])}). Were their ids hashed with one RECATTN_HASH_SALT?"
        )
    if ours.isna().any() or theirs.isna().any():
        raise ConfigError(f"{metric} has no value for some requests: choose another rules.metric.")


def users_check(report: Report, rules: Rules) -> Check:
    """Enough users for a bootstrap."""
    count = len(groups_of(report)[1])
    enough = count >= rules.min_users
    return Check(
        "users",
        enough,
        f"{count:,} {_drawn(report)} were judged, at least {rules.min_users:,} are asked for",
        threshold=rules.min_users,
        count=count,
    )


def minimum_check(report: Report, rules: Rules) -> Check:
    """The absolute rule, the only one of the headline for a first champion."""
    found = mean_interval(
        report, rules.metric, n_resamples=rules.n_resamples, confidence=rules.confidence, seed=rules.seed
    )
    return Check(
        "minimum",
        found.low > rules.minimum,
        f"{rules.metric} is {found.mean:.4g}, lower bound {found.low:.4g}; it must exceed {rules.minimum:.4g}",
        challenger=found.mean,
        threshold=rules.minimum,
        bound=found.low,
        count=found.resampled,
    )


def headline_check(challenger: Report, champion: Report, rules: Rules) -> Check:
    """Superiority: the one-sided lower bound of the paired difference exceeds the minimal effect."""
    found = compared(challenger, champion, rules)
    return Check(
        "headline",
        found.low > rules.minimal_effect,
        f"{rules.metric} differs by {found.difference:+.4g}, lower bound {found.low:+.4g} at level {rules.level:g} "
        f"(paired bootstrap over {found.resampled:,} {_drawn(challenger)}); it must exceed {rules.minimal_effect:.4g}",
        challenger=float(challenger.values(rules.metric).mean()),
        champion=float(champion.values(rules.metric).mean()),
        threshold=rules.minimal_effect,
        bound=found.low,
        p_value=one_sided(found),
        count=found.resampled,
    )


def compared(challenger: Report, champion: Report, rules: Rules) -> Comparison:
    """The paired bootstrap whose lower end is the one-sided bound at `rules.level`."""
    return paired_bootstrap(
        challenger,
        champion,
        rules.metric,
        n_resamples=rules.n_resamples,
        confidence=rules.confidence,
        seed=rules.seed,
    )


def one_sided(found: Comparison) -> float:
    """The p-value of "no better", from the two-sided one."""
    return found.p_value / 2 if found.difference > 0 else 1 - found.p_value / 2


def _drawn(report: Report) -> str:
    return "users" if USER in report.per_request.columns else "requests"
