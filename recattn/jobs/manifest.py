"""The manifest: what a result was made of, how it is cut into parts, which parts are whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from recattn.errors import ArtifactError
from recattn.jobs.storage import Storage, shown

FORMAT, KIND = 1, "recattn_scores"
MANIFEST, SUCCESS, RUN, SHARDS, PARTS, WORK = "manifest.json", "_SUCCESS", "run.json", "shards", "parts", ".work"
OURS = (SUCCESS, RUN, SHARDS, PARTS, WORK, MANIFEST)  # in the order of removal: the manifest says whose they are
TOLD = 6  # differences in a message


@dataclass(frozen=True)
class Part:
    """One file of the result, from the rows (or requests) `start` to `stop` of what was asked."""

    number: int
    path: str
    start: int
    stop: int
    rows: int
    bytes: int
    sha256: str
    reasons: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=dict)  # `recattn.jobs.facts`


@dataclass(frozen=True)
class Manifest:
    """`identity` is what must be the same for a job to go on: settings, inputs, moment, plan."""

    identity: Mapping[str, Any]
    made_by: tuple[Mapping[str, Any], ...]  # devices, threads and versions, more than one where they changed
    parts: tuple[Part, ...] = ()
    shard: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)  # what the facts of parts are compared with

    @property
    def digest(self) -> str:
        """sha256 of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def rows(self) -> int:
        """Rows of the finished parts."""
        return sum(part.rows for part in self.parts)

    @property
    def reasons(self) -> dict[str, int]:
        """Rows of each reason in the finished parts."""
        total: dict[str, int] = {}
        for part in self.parts:
            for reason, count in part.reasons.items():
                total[reason] = total.get(reason, 0) + count
        return dict(sorted(total.items()))

    def with_part(self, part: Part) -> Manifest:
        """One more finished part, or another in its place."""
        kept = [other for other in self.parts if other.number != part.number]
        return replace(self, parts=tuple(sorted([*kept, part], key=lambda other: other.number)))

    def to_bytes(self) -> bytes:
        """The file: the same bytes for the same facts."""
        parts = [vars(part) | {"reasons": dict(part.reasons)} for part in self.parts]
        values = {
            "kind": KIND,
            "format": FORMAT,
            "digest": self.digest,
            "shard": self.shard,
            "rows": self.rows,
            "reasons": self.reasons,
            "made_by": list(self.made_by),
            **self.identity,
            "about": self.about,
            "parts": parts,
        }
        return json.dumps(values, indent=1).encode()

    def save(self, storage: Storage, *, number: int = -1) -> None:
        """Put it in place of the one that is there."""
        storage.replace(MANIFEST, self.to_bytes(), number=number)

    @classmethod
    def load(cls, storage: Storage) -> Manifest | None:
        """The manifest of a folder; None where it has none.

        Raises:
            ArtifactError: It is damaged, of a newer format, or of something else.
        """
        place = shown(storage.path(MANIFEST))
        if storage.kind(MANIFEST) != "file":
            return None
        try:
            values: Any = json.loads(storage.read(MANIFEST))
            if values["kind"] != KIND:
                raise ValueError(f"it is of kind {values['kind']!r}")
            if values["format"] > FORMAT:
                raise ArtifactError(
                    f"{place} has format {values['format']}; this recattn reads up to {FORMAT}. Upgrade recattn."
                )
            identity = {name: values[name] for name in ("settings", "inputs", "moment", "plan")}
            parts = tuple(Part(**part) for part in values["parts"])
            found = cls(identity, tuple(values["made_by"]), parts, values["shard"], values.get("about", {}))
            if found.digest != values["digest"]:
                raise ValueError("its digest does not fit its contents")
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, ArtifactError):
                raise
            raise ArtifactError(
                f"{place} is no manifest of a job, or a damaged one: {error}. Pass overwrite=True to begin anew."
            ) from error
        return found


def kind_of(storage: Storage) -> str | None:
    """What the manifest of a folder is of; None where there is none, or none that can be read."""
    if storage.kind(MANIFEST) != "file":
        return None
    try:
        values = json.loads(storage.read(MANIFEST))
    except (OSError, ValueError):
        return None
    return str(values.get("kind")) if isinstance(values, dict) else None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between two identities, each as text: `settings.stage was 'deep' and is 'attention'`."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    found = []
    for name in sorted({**old, **new}):
        if name not in new:
            found.append(f"{name} was {_short(old[name])} and is gone")
        elif name not in old:
            found.append(f"{name} is new")
        elif old[name] != new[name]:
            found.append(f"{name} was {_short(old[name])} and is {_short(new[name])}")
    return found


def check_same(before: Manifest, now: Manifest, where: str) -> None:
    """ArtifactError that says what changed, unless both are of one job."""
    changed = differences(before.identity, now.identity)
    if changed:
        more = f"; and {len(changed) - TOLD} more" if len(changed) > TOLD else ""
        raise ArtifactError(
            f"{shown(where)} was begun with something else: {'; '.join(changed[:TOLD])}{more}. Pass overwrite=True to "
            "begin anew, or name another folder."
        )


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            inner = f"[{key}]" if "." in key or "/" in key else f".{key}" if name else key
            yield from _leaves(value, f"{name}{inner}")
    else:
        yield name, values


def _short(value: Any) -> str:
    text = repr(value)
    return f"{text[:13]}...'" if isinstance(value, str) and len(value) == 64 else text
