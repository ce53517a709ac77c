"""Whether contenders were judged alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from recattn.comparison.contender import Contender
from recattn.errors import DataError, listed
from recattn.evaluation import Report

MUST_AGREE = ("key", "truth_sha256", "seen", "ties", "time")
SHOULD_AGREE = ("k", "catalog_size", "catalog_sha256", "split", "target")
_DIGEST = 12  # shown digits


def check_comparable(contenders: Sequence[Contender]) -> list[str]:
    """What differs without forbidding the comparison, one sentence each.

    Raises DataError where contenders judged other truth, or by another rule on seen items, ties, time or the key: their
    metrics are then of different questions. A rule that only some reports name is a remark, not an error.
    """
    faults = []
    notes = []
    for rule in MUST_AGREE:
        values = _values(contenders, lambda report, rule=rule: report.policy.get(rule))  # type: ignore[misc]
        known = {value: names for value, names in values.items() if value is not None}
        if len(known) > 1:
            faults.append(_told(rule, known))
        elif len(values) > 1:
            notes.append(f"{rule} is not recorded for {', '.join(values[None])}: taken as that of the others.")
    if faults:
        raise DataError(f"these cannot be compared: {'; '.join(faults)}.{_in_common(contenders)} Judge all alike.")
    _check_same_requests(contenders)
    for rule in SHOULD_AGREE:
        values = _values(contenders, lambda report, rule=rule: report.policy.get(rule))  # type: ignore[misc]
        known = {value: names for value, names in values.items() if value is not None}
        if len(known) > 1:
            notes.append(f"{_told(rule, known)}.")
    names = dict.fromkeys(name for one in contenders for name in one.circumstances)
    for name in names:
        by: dict[object, list[str]] = {}
        for one in contenders:
            if name in one.circumstances:
                by.setdefault(one.circumstances[name], []).append(one.name)
        if len(by) > 1:
            notes.append(f"{_told(name, by)}.")
    return notes


def policies(contenders: Sequence[Contender]) -> pd.DataFrame:
    """The rules and counts under which each was judged: a row a rule, a column a contender."""
    frame = pd.DataFrame({one.name: pd.Series(dict(one.report.policy), dtype=object) for one in contenders})
    frame.index.name = "rule"
    return frame.reset_index()


def _values(contenders: Sequence[Contender], of: Callable[[Report], object]) -> dict[object, list[str]]:
    by: dict[object, list[str]] = {}
    for one in contenders:
        for value in dict.fromkeys(of(report) for report in one.reports):
            by.setdefault(value, []).append(one.name)
    return by


def _told(rule: str, by: Mapping[object, Sequence[str]]) -> str:
    sides = [f"{_short(rule, value)} in {', '.join(names)}" for value, names in by.items()]
    return f"{rule} is {', but '.join(sides)}"


def _short(rule: str, value: object) -> str:
    return f"{str(value)[:_DIGEST]}…" if rule.endswith("sha256") else repr(value)


def _in_common(contenders: Sequence[Contender]) -> str:
    first, *others = (one.report for one in contenders)
    index = pd.Index(first.per_request[first.policy["key"]])
    for name, other in zip((one.name for one in contenders[1:]), others, strict=True):
        if other.policy.get("truth_sha256") == first.policy.get("truth_sha256"):
            continue
        column = other.per_request.get(first.policy["key"])
        common = 0 if column is None else int(index.isin(column).sum())
        if not common:
            return f" {contenders[0].name} and {name} have no user or request in common: the truths have other users."
        return f" {contenders[0].name} and {name} have {common:,} of {len(index):,} requests in common."
    return ""


def _check_same_requests(contenders: Sequence[Contender]) -> None:
    """Equal truth has equal requests, unless ids were hashed with another salt."""
    key = str(contenders[0].report.policy["key"])
    index = pd.Index(contenders[0].report.per_request[key])
    for one in contenders:
        for report in one.reports:
            ids = pd.Index(report.per_request[key])
            if len(ids) == len(index) and ids.isin(index).all():
                continue
            raise DataError(
                f"{one.name} judged the same truth as {contenders[0].name}, but its ids are others ({key} like "
                f"{listed(ids[:2].tolist())} against {listed(index[:2].tolist())}): they were hashed with another salt "
                "(RECATTN_HASH_SALT), or not at all. Log both with the same salt."
            )
