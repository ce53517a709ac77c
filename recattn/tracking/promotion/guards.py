"""What must not get worse for the sake of the headline metric."""

from __future__ import annotations

import dataclasses

from recattn.evaluation import Report, mean_interval
from recattn.evaluation.significance import groups_of
from recattn.schema.columns import HISTORY_LENGTH
from recattn.tracking.evaluated import EvaluatedRun
from recattn.tracking.promotion.decision import Check
from recattn.tracking.promotion.headline import compared, one_sided
from recattn.tracking.promotion.rules import Guards, Rules

RECOMMEND_SECONDS = "cost/recommend_seconds"


def guard_checks(challenger: EvaluatedRun, champion: EvaluatedRun | None, rules: Rules, guards: Guards) -> list[Check]:
    """Those that are on. All must hold, so that no correction for their number is needed."""
    found = []
    if guards.coverage is not None:
        found.append(_coverage(challenger, champion, guards.coverage, guards))
    if guards.short_history is not None:
        found.append(_short_history(challenger, champion, guards.short_history, rules, guards))
    for name in ("latency", "size"):
        metric = getattr(guards, name)
        if metric is not None:
            margin, limit = getattr(guards, f"{name}_margin"), getattr(guards, f"{name}_limit")
            found.append(_cost(name, challenger, champion, metric, margin, limit, guards))
    return found


def _coverage(challenger: EvaluatedRun, champion: EvaluatedRun | None, metric: str, guards: Guards) -> Check:
    """One value for all requests, compared as it is."""
    ours = challenger.report.summary.get(metric)
    theirs = None if champion is None else champion.report.summary.get(metric)
    if ours is None or (champion is not None and theirs is None):
        return _missing("coverage", metric, ours, "evaluate(..., metrics=[..., Coverage(10)])", guards)
    bars = [guards.coverage_minimum, None if theirs is None else theirs * (1 - guards.coverage_margin)]
    bar = max((b for b in bars if b is not None), default=None)
    says = f"{metric} is {ours:.4g}{_against(theirs)}{_must('be at least', bar)}"
    return Check("coverage", None if bar is None else ours >= bar, says, ours, theirs, bar)


def _short_history(
    challenger: EvaluatedRun, champion: EvaluatedRun | None, longest: int, rules: Rules, guards: Guards
) -> Check:
    """The headline metric of requests with few past interactions, by the lower bound of its difference."""
    rows = challenger.report.per_request
    label = f"requests with at most {longest} past interactions"
    if HISTORY_LENGTH not in rows.columns:
        how = "evaluate(..., segments=split.segments('test'))"
        return _missing("short_history", f"the column {HISTORY_LENGTH}", None, how, guards)
    few = (rows[HISTORY_LENGTH] <= longest).fillna(False).astype(bool)
    if not few.any():
        return Check("short_history", None, f"there are no {label}")
    ours = dataclasses.replace(challenger.report, per_request=rows[few])
    count = len(groups_of(ours)[1])
    if count < rules.min_users:
        passed = None if guards.missing == "skip" else False
        return Check(
            "short_history",
            passed,
            f"{label} come from {count} users; fewer than {rules.min_users} cannot be judged (raise "
            "guards.short_history, lower rules.min_users, or set guards.missing to skip)",
            count=count,
        )
    floor = guards.short_history_minimum
    low_mean = _lower_mean(ours, rules) if floor is not None else None
    over = floor is None or (low_mean is not None and low_mean > floor)
    mean = float(ours.values(rules.metric).mean())
    if champion is None:
        says = f"{rules.metric} of {label} is {mean:.4g}{_must('have its lower bound above', floor)}"
        return Check("short_history", None if floor is None else over, says, mean, None, floor, low_mean, count=count)
    found = compared(ours, champion.report, rules)
    theirs = mean - found.difference
    bar = -guards.short_history_margin * theirs
    says = (
        f"{rules.metric} of {label} differs by {found.difference:+.4g} from {theirs:.4g}, lower bound {found.low:+.4g} "
        f"({count:,} users); it must not fall below {bar:+.4g}"
    )
    if floor is not None:
        says += f", and its mean's lower bound {low_mean:.4g} must exceed {floor:.4g}"
    passed = found.low >= bar and over
    return Check("short_history", passed, says, mean, theirs, bar, found.low, one_sided(found), count)


def _lower_mean(report: Report, rules: Rules) -> float:
    return mean_interval(
        report, rules.metric, n_resamples=rules.n_resamples, confidence=rules.confidence, seed=rules.seed
    ).low


def _cost(
    name: str,
    challenger: EvaluatedRun,
    champion: EvaluatedRun | None,
    metric: str,
    margin: float,
    limit: float | None,
    guards: Guards,
) -> Check:
    """A figure of which less is better, compared as it is."""
    ours = _figure(challenger, metric)
    theirs = None if champion is None else _figure(champion, metric)
    if ours is None or (champion is not None and theirs is None):
        return _missing(name, metric, ours, f"MlflowClient().log_metric(run_id, {metric!r}, value)", guards)
    bars = [limit, None if theirs is None else theirs * (1 + margin)]
    bar = min((b for b in bars if b is not None), default=None)
    each = " per request" if metric == RECOMMEND_SECONDS else ""
    says = f"{metric}{each} is {ours:.4g}{_against(theirs)}{_must('be at most', bar)}"
    return Check(name, None if bar is None else ours <= bar, says, ours, theirs, bar)


def _figure(run: EvaluatedRun, metric: str) -> float | None:
    value = run.metrics.get(metric)
    if value is None or metric != RECOMMEND_SECONDS:
        return value
    # the seconds of the run's own test, whatever evaluation is looked at now
    requests = run.tags.get("recattn.test.requests") or run.report.policy["requests"]
    return value / int(requests)


def _missing(name: str, what: str, ours: float | None, how: str, guards: Guards) -> Check:
    who = "the challenger's run" if ours is None else "the champion's run"
    says = f"{who} does not have {what} ({how} gives it; guards.{name} null turns the guard off)"
    return Check(name, None if guards.missing == "skip" else False, says, challenger=ours)


def _against(theirs: float | None) -> str:
    return "" if theirs is None else f", the champion's {theirs:.4g}"


def _must(words: str, bar: float | None) -> str:
    return "; there is no rule for it" if bar is None else f"; it must {words} {bar:.4g}"
