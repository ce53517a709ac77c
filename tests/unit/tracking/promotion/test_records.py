"""What records tell of the past."""

from __future__ import annotations

import datetime
import json
import os
from typing import Any

import pytest

from recattn.tracking import stale
from recattn.tracking.promotion.decision import Window
from recattn.tracking.promotion.records import CLAIM_SECONDS, PREFIX, Record, champions, new_id, read, used_by


def record(version: str = "1", state: Any = "promoted", previous: str | None = None, **more: Any) -> Record:
    beat = json.loads(stale.heartbeat()) | more.pop("beat", {})
    action = "rollback" if state == "rolled_back" else "promote"
    return Record(new_id(), action, state, version, previous, "ann", beat, **more)


def ago(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)).isoformat()


def test_a_record_survives_its_tag() -> None:
    one = record(window=Window("ab", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"))
    other = record(version="2", state="refused")
    tags = {"mine": "x", one.key: one.to_text(), other.key: other.to_text(), f"{PREFIX}broken": "{"}
    assert read(tags) == [one, other]


@pytest.mark.parametrize(
    ("moves", "stack"),
    [
        ([("1", None), ("2", "1"), ("3", "2")], ["1", "2", "3"]),
        ([("1", None), ("2", "1"), ("1", "back")], ["1"]),
        ([("1", None), ("2", "1"), ("1", "back"), ("3", "1")], ["1", "3"]),
        ([("1", None), ("2", "1"), ("1", "back"), ("2", "back")], ["1", "2"]),
        ([("1", None), ("5", "4")], ["1", "4", "5"]),
    ],
)
def test_champions_lie_on_one_another(moves: list[tuple[str, str | None]], stack: list[str]) -> None:
    past = [record(v, "rolled_back") if p == "back" else record(v, previous=p) for v, p in moves]
    assert champions([*past, record("9", "refused"), record("9", "lost"), record("9", "abandoned")]) == stack


def test_windows_meet_by_truth_or_by_time() -> None:
    week = Window("a", "2026-01-01T00:00:00Z", "2026-01-07T23:59:59Z")
    assert week.meets(Window("a"))
    assert week.meets(Window("b", "2026-01-07T00:00:00Z", "2026-01-14T00:00:00Z"))
    assert not week.meets(Window("b", "2026-01-08T00:00:00Z", "2026-01-14T00:00:00Z"))
    assert not week.meets(Window("b"))


def test_a_question_that_was_given_up_may_be_asked_again() -> None:
    window = Window("a")
    given_up = record(state="abandoned", question="q", window=window)
    assert used_by([given_up], window, "q") is None
    assert used_by([given_up], window, "another") == given_up
    refused = record(state="refused", question="q", window=window)
    assert used_by([refused], window, "q") == refused
    assert used_by([record(state="refused", question="q")], window, "q") is None


def test_claims_end_with_their_process_or_their_time() -> None:
    assert record(state="open").under_way()
    assert not record(state="promoted").under_way()
    assert not record(state="open", beat={"started": "0"}).under_way(), "another process has that pid now"
    elsewhere = {"machine": "other", "pid": os.getpid()}
    assert record(state="open", beat=elsewhere | {"time": ago(CLAIM_SECONDS - 60)}).under_way()
    assert not record(state="open", beat=elsewhere | {"time": ago(CLAIM_SECONDS + 60)}).under_way()
