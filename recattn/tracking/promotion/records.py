"""What was done to the champion of a registered model, kept on it as tags.

One tag a record, so that two writers never overwrite each other. A record is first a claim (`open`): whoever writes
one and then sees no other may act. MLflow has no compare-and-set; two that claim at once both see the other.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from recattn.tracking import stale
from recattn.tracking.promotion.decision import Window

PREFIX = "recattn.decision."
CLAIM_SECONDS = 600  # a claim of another machine that is older counts as given up

Action = Literal["promote", "rollback"]
State = Literal["open", "promoted", "refused", "rolled_back", "abandoned", "lost"]


@dataclasses.dataclass(frozen=True)
class Record:
    """One decision about a registered model.

    Attributes:
        id: Time and a random end; records in the order of ids are in the order of time.
        action: What it was for.
        state: How it ended; `open` while it is under way, `abandoned` when its process died or failed,
            `lost` when another was quicker.
        version: The version it was about.
        previous: The champion before.
        by: The user.
        beat: The process, as in `stale.heartbeat`.
        run_id: The challenger's run; empty for a rollback.
        question: Digest of what was asked: runs, rules, evaluation.
        window: The data it used; None where it used none.
    """

    id: str
    action: Action
    state: State
    version: str
    previous: str | None
    by: str
    beat: dict[str, Any]
    run_id: str = ""
    question: str = ""
    window: Window | None = None

    @property
    def key(self) -> str:
        """The tag it is kept under."""
        return PREFIX + self.id

    @property
    def at(self) -> str:
        """When it was made, ISO 8601."""
        return str(self.beat["time"])

    @property
    def moved(self) -> bool:
        """Whether the champion was moved by it."""
        return self.state in ("promoted", "rolled_back")

    @property
    def where(self) -> str:
        """The process, for people."""
        return f"{self.by}, pid {self.beat.get('pid')} on {self.beat.get('host')}, since {self.at}"

    def to_text(self) -> str:
        """The tag's value."""
        return json.dumps(dataclasses.asdict(self))

    def ended(self, state: State) -> Record:
        """The same in another state."""
        return dataclasses.replace(self, state=state)

    def done(self) -> Record:
        """The same, after the champion was moved."""
        return self.ended("promoted" if self.action == "promote" else "rolled_back")

    def under_way(self) -> bool:
        """Whether it is open and its process lives, or may live (another machine's, for `CLAIM_SECONDS`)."""
        if self.state != "open":
            return False
        began = datetime.datetime.fromisoformat(self.at).timestamp()
        now = datetime.datetime.now(datetime.UTC).timestamp()
        shifted = now - CLAIM_SECONDS + stale.OLD_SECONDS  # is_alive's own patience is for long trainings
        return stale.is_alive({**self.beat, "time": began, "pid": int(self.beat["pid"])}, shifted)


def new_id() -> str:
    """An id of this moment."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(3)}"


def read(tags: Mapping[str, str]) -> list[Record]:
    """The records among a registered model's tags, oldest first; what is not readable is left out."""
    found = []
    for key in sorted(key for key in tags if key.startswith(PREFIX)):
        try:
            fields = json.loads(tags[key])
            window = Window(**fields.pop("window")) if fields.get("window") else fields.pop("window", None)
            found.append(Record(**fields, window=window))
        except (ValueError, TypeError, KeyError):
            continue
    return found


def used_by(records: Iterable[Record], window: Window, question: str) -> Record | None:
    """The record that has used data of `window`; not one that was given up while it asked the same question."""
    for record in records:
        again = record.state == "abandoned" and record.question == question
        if record.window is not None and record.window.meets(window) and not again:
            return record
    return None


def champions(records: Iterable[Record]) -> list[str]:
    """Versions that were champion, one on the other: a promotion puts one on top, a rollback takes tops off.

    A rollback to a version that is not in the stack any more puts it on top.
    """
    stack: list[str] = []
    for record in records:
        if record.state == "promoted":
            if record.previous is not None and (not stack or stack[-1] != record.previous):
                stack.append(record.previous)  # set by hand
            stack.append(record.version)
        elif record.state == "rolled_back":
            stack = upto(stack, record.version) or [*stack, record.version]
    return stack


def upto(stack: list[str], version: str) -> list[str]:
    """The stack with `version` on top: cut behind its last place; empty where it has none."""
    places = [place for place, one in enumerate(stack) if one == version]
    return stack[: places[-1] + 1] if places else []
