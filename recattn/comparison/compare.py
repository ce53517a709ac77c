"""Contenders in, the whole comparison out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from recattn.comparison.comparability import check_comparable, policies
from recattn.comparison.contender import Contender, contenders_of
from recattn.comparison.effects import Sample, metric_effects, request_differences, segment_effects
from recattn.comparison.lists import Lists
from recattn.comparison.result import ComparisonResult
from recattn.errors import ConfigError, nearest
from recattn.evaluation import Report
from recattn.evaluation.significance import check_settings

BEST = "best"
_K = 10


def compare(
    contenders: Mapping[str, Report | Sequence[Report]] | Sequence[Contender],
    *,
    reference: str | None = None,
    metric: str | None = None,
    popularity: Mapping[str, float] | None = None,
    confidence: float = 0.95,
    n_resamples: int | None = None,
    seed: int = 0,
) -> ComparisonResult:
    """Set contenders beside a reference: how large each difference is, whether it is chance, for whom it holds.

    Args:
        contenders: `{"name": report}`, `{"name": [report of seed 1, report of seed 2]}`, or `Contender` objects, which
            also carry lists, settings and costs.
        reference: Name of the one that the others are set against: the first by default; `best` for the one with the
            best headline on validation.
        metric: The headline, which is tested: the first metric that all reports have by request, by default. The
            others are shown with their intervals.
        popularity: Item id as text -> its interactions in training, for the popularity of lists.
        confidence: Of the intervals; differences are significant at the level 1 - confidence after Holm's correction.
        n_resamples: Draws of users; 2,000 by default, more for many contenders.
        seed: Of the draws.

    Raises:
        DataError: Contenders judged other truth, or by other rules.
        ConfigError: Fewer than two contenders, equal names, an unknown reference, a metric they do not share.

    Example:
        >>> from recattn.evaluation import NDCG, evaluate
        >>> truth = pd.DataFrame({"user_id": range(100), "item_id": "a"})
        >>> good, bad = (truth.assign(item_id=item, rank=1) for item in ("a", "b"))
        >>> reports = {name: evaluate(lists, truth, NDCG(10)) for name, lists in {"bad": bad, "good": good}.items()}
        >>> compare(reports).to_frame()[["contender", "difference", "significant"]].values.tolist()
        [['good', 1.0, True]]
    """
    entered = contenders_of(contenders)
    if n_resamples is not None:
        check_settings(n_resamples, confidence)
    check_settings(1, confidence)
    base = _reference(entered, reference)
    entered = [base, *(one for one in entered if one is not base)]
    notes = check_comparable(entered)
    metrics = _metrics(entered, metric)
    headline = metrics[0]
    sample = Sample.of(entered, base, headline)
    k = int(found[1]) if (found := re.search(r"_at_(\d+)$", headline)) else _K
    drawn = {"n_resamples": n_resamples, "confidence": confidence, "seed": seed}
    effects = metric_effects(entered, base, metrics, **drawn)  # type: ignore[arg-type]
    segments = segment_effects(entered, base, headline, confidence=confidence)
    lists = Lists.of(entered, sample.index, k, seed)
    return ComparisonResult(
        reference=base.name,
        metric=headline,
        k=k,
        confidence=confidence,
        contenders=_about(entered, sample),
        values=_values(entered),
        effects=effects,
        segments=segments,
        differences=request_differences(entered, base, headline),
        pairs=lists.pairs() if lists else pd.DataFrame(),
        exposure=_exposure(lists, popularity),
        changed=_changed(lists, entered, sample, headline),
        params=_params(entered),
        cost=_cost(entered),
        policy=policies(entered),
        curves={one.name: one.curves for one in entered if one.curves},
        notes=(*notes, *_missing(entered, segments, lists)),
    )


def _reference(contenders: Sequence[Contender], name: str | None) -> Contender:
    if name is None:
        return contenders[0]
    named = {one.name: one for one in contenders}
    if name in named:
        return named[name]
    if name == BEST:
        known = [one for one in contenders if one.valid is not None]
        if not known:
            raise ConfigError("reference='best' needs the headline on validation, which no contender has. Name one.")
        return max(known, key=lambda one: one.valid or 0.0)
    raise ConfigError(f"reference {name!r} is no contender.{nearest(name, named)} There are: {', '.join(named)}.")


def _metrics(contenders: Sequence[Contender], metric: str | None) -> list[str]:
    """Those that every report has by request, the headline first."""
    reports = [report for one in contenders for report in one.reports]
    shared = [
        name
        for name in reports[0].summary
        if all(name in report.summary and name in report.per_request for report in reports)
    ]
    if not shared:
        each = "; ".join(f"{one.name}: {', '.join(one.report.summary)}" for one in contenders)
        raise ConfigError(f"the contenders share no metric by request ({each}). Judge all at the same k.")
    if metric is None:
        metric = next((name for name in shared if name == "ndcg_at_10"), shared[0])
    if metric not in shared:
        raise ConfigError(
            f"metric {metric!r} is not in all reports.{nearest(metric, shared)} They share: {', '.join(shared)}."
        )
    return [metric, *(name for name in shared if name != metric)]


def _about(contenders: Sequence[Contender], sample: Sample) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "contender": [one.name for one in contenders],
            "seeds": [len(one.reports) for one in contenders],
            "members": [", ".join(one.members) for one in contenders],
            "requests": len(sample.index),
            "users": len(sample.users.counts),
        }
    )


def _values(contenders: Sequence[Contender]) -> pd.DataFrame:
    shared = [
        name
        for name in contenders[0].report.summary
        if all(name in report.summary for one in contenders for report in one.reports)
    ]
    return pd.DataFrame([{"contender": one.name, **{name: one.mean(name) for name in shared}} for one in contenders])


def _exposure(lists: Lists | None, popularity: Mapping[str, float] | None) -> pd.DataFrame:
    if lists is None:
        return pd.DataFrame()
    table = lists.exposure()
    return table if popularity is None else table.assign(popularity=lists.popularity(popularity).to_numpy())


def _changed(lists: Lists | None, contenders: Sequence[Contender], sample: Sample, metric: str) -> pd.DataFrame:
    base = contenders[0]
    if lists is None or base.name not in lists.items:
        return pd.DataFrame()
    theirs = sample.values(base, metric)[0]
    parts = [
        lists.most_changed(one.name, base.name, pd.Series(sample.values(one, metric)[0] - theirs, index=sample.index))
        for one in contenders[1:]
        if one.name in lists.items
    ]
    return pd.concat(parts, ignore_index=True)


def _params(contenders: Sequence[Contender]) -> pd.DataFrame:
    names = dict.fromkeys(name for one in contenders for name in one.params)
    rows = [{"setting": name, **{one.name: one.params.get(name) for one in contenders}} for name in names]
    differ = [row for row in rows if len({row[one.name] for one in contenders if one.params}) > 1]
    return pd.DataFrame(differ, columns=["setting", *(one.name for one in contenders)])


def _cost(contenders: Sequence[Contender]) -> pd.DataFrame:
    names = dict.fromkeys(name for one in contenders for name in one.cost)
    rows = [{"contender": one.name, **{name: one.cost.get(name) for name in names}} for one in contenders]
    return pd.DataFrame(rows) if names else pd.DataFrame()


def _missing(contenders: Sequence[Contender], segments: pd.DataFrame, lists: Lists | None) -> list[str]:
    notes = []
    without = [one.name for one in contenders if one.recommendations is None]
    if without:
        notes.append(f"No lists are kept for {', '.join(without)}: what their lists share cannot be said.")
    if not len(segments):
        notes.append("No report has segments (evaluate(..., segments=)): for whom a difference holds cannot be said.")
    if lists and len(lists.index) < lists.sampled:
        notes.append(
            f"Lists are set beside each other for a sample of {len(lists.index):,} of {lists.sampled:,} requests."
        )
    return notes
