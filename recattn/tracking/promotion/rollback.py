"""The champion before, back in one step."""

from __future__ import annotations

import dataclasses
import json

from recattn.errors import ArtifactError
from recattn.tracking import stale
from recattn.tracking.promotion import records
from recattn.tracking.promotion.evidence import TAG
from recattn.tracking.promotion.lock import one_at_a_time
from recattn.tracking.promotion.records import Record
from recattn.tracking.promotion.shelf import Shelf, permitted, user
from recattn.tracking.server import connect, explained


@dataclasses.dataclass(frozen=True)
class Rollback:
    """What a rollback did.

    Attributes:
        name: Of the registered model.
        version: The champion now.
        previous: The champion before; None where there was none.
        skipped: Earlier champions that are deleted, newest first.
        dry_run: Whether nothing was written.
    """

    name: str
    version: str
    previous: str | None
    skipped: tuple[str, ...]
    dry_run: bool


def rollback(
    name: str, *, to: str | int | None = None, tracking_uri: str | None = None, dry_run: bool = False
) -> Rollback:
    """Give the alias `champion` back to the version that had it before.

    Champions lie on one another in the order of promotions; a rollback takes the top off. So a second rollback goes one
    further back, never forth again: `to` names any former champion, also one that a rollback took off. Deleted versions
    are passed over. A champion set by hand that was never one before is replaced by the last one of the gate. Two at
    once: as for `promote`.

    Raises ArtifactError for a model without an earlier champion that is still there, for `to` that was never champion
    or is deleted, for a registry that refuses, and while another decision is under way.
    """
    client = connect(tracking_uri)
    with explained(client.tracking_uri), permitted(name), one_at_a_time(client.tracking_uri, name):
        shelf = Shelf(client, name)
        if not shelf.exists:
            raise ArtifactError(f"there is no registered model {name!r}.")
        if not dry_run:
            shelf.settle()
        version, skipped = _target(shelf, None if to is None else str(to))
        done = Rollback(name, version, shelf.champion, skipped, dry_run)
        if dry_run:
            return done
        record = Record(
            id=records.new_id(),
            action="rollback",
            state="open",
            version=version,
            previous=shelf.champion,
            by=user(),
            beat=json.loads(stale.heartbeat()),
        )
        shelf.claim(record)
        with shelf.given_up_on_error(record):
            shelf.move(record)
        if done.previous is not None and shelf.has(done.previous):
            client.set_model_version_tag(name, done.previous, f"{TAG}decision", "rolled back")
            client.set_model_version_tag(name, done.previous, f"{TAG}rolled_back_at", record.at)
            client.set_model_version_tag(name, done.previous, f"{TAG}rolled_back_by", record.by)
        return done


def _target(shelf: Shelf, to: str | None) -> tuple[str, tuple[str, ...]]:
    stack = records.champions(shelf.records)
    if to is not None:
        ever = {one.version for one in shelf.records if one.moved} | set(stack)
        if to not in ever:
            were = f"; {', '.join(sorted(ever, key=int))} were" if ever else ""
            raise ArtifactError(f"version {to} of {shelf.name!r} was never champion{were}.")
        if to == shelf.champion:
            raise ArtifactError(f"version {to} of {shelf.name!r} is the champion.")
        if not shelf.has(to):
            raise ArtifactError(f"version {to} of {shelf.name!r} is deleted.")
        return to, ()
    if shelf.champion in stack:
        stack = records.upto(stack, str(shelf.champion))[:-1]
    skipped: list[str] = []
    for version in reversed(stack):
        if version == shelf.champion or version in skipped:
            continue
        if shelf.has(version):
            return version, tuple(skipped)
        skipped.append(version)
    gone = f" (version {', '.join(skipped)} is deleted)" if skipped else ""
    raise ArtifactError(f"model {shelf.name!r} has no earlier champion to go back to{gone}.")
