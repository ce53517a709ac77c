"""The shards of a job put together."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from recattn.errors import ArtifactError, listed
from recattn.jobs import events
from recattn.jobs.facts import facts_of
from recattn.jobs.job import JobResult
from recattn.jobs.limits import FailIf
from recattn.jobs.manifest import SHARDS, SUCCESS, Manifest, Part, differences
from recattn.jobs.storage import Storage, shown

log = logging.getLogger("recattn")


def publish(out: str, *, fail_if: FailIf | None = None) -> JobResult:
    """Write the manifest and `_SUCCESS` of the whole, over the parts of all shards where they lie.

    Args:
        out: The folder of the job.
        fail_if: Limits for the whole.

    Raises:
        DataError: A limit is passed.
        ArtifactError: A shard is missing or not finished, shards are of different jobs, or a part is missing, damaged
            or there twice.
    """
    since = time.perf_counter()
    whole = Storage.at(out)
    place = shown(out)
    shards = _shards(whole, place)
    first = next(iter(shards.values()))
    for name, manifest in shards.items():
        changed = differences(first.identity, manifest.identity)
        if changed:
            raise ArtifactError(
                f"the shards in {place} are of different jobs: in {name} {'; '.join(changed[:6])}. Run them anew with "
                "the same inputs and settings."
            )
    parts = [_below(name, part) for name, manifest in shards.items() for part in manifest.parts]
    numbers = sorted(part.number for part in parts)
    wanted = list(range(first.identity["plan"]["parts"]))
    if numbers != wanted:
        lost, twice = sorted(set(wanted) - set(numbers)), sorted({n for n in numbers if numbers.count(n) > 1})
        raise ArtifactError(f"the shards in {place} lack parts {lost[:5]} and have parts {twice[:5]} twice.")
    for part in parts:
        try:
            good = whole.sha256(part.path) == part.sha256
        except OSError:
            good = False
        if not good:
            raise ArtifactError(f"{place}/{part.path} is missing or damaged. Run its shard again.")
    manifest = Manifest(
        first.identity,
        tuple(_distinct(shards.values())),
        tuple(sorted(parts, key=lambda p: p.number)),
        about=first.about,
    )
    facts = facts_of(manifest)
    before = Manifest.load(whole) if whole.kind(SUCCESS) == "file" else None
    finished = before == manifest
    if finished:
        log.info("%s is published already", place)
    else:
        if fail_if is not None:
            fail_if.check(facts, place)
        whole.delete(SUCCESS)
        manifest.save(whole)
        whole.replace(SUCCESS, b"")
    seconds = time.perf_counter() - since
    result = JobResult(
        out, manifest.rows, len(parts), len(parts), manifest.reasons, seconds, facts, manifest.digest, finished
    )
    events.tell("finished", f"{place} is published", **asdict(result) | {"out": place})
    return result


def _shards(whole: Storage, place: str) -> dict[str, Manifest]:
    """The finished manifests by folder, all n of them."""
    names = [name for name in whole.below(SHARDS).names() if re.fullmatch(r"\d+-of-\d+", name)]
    if not names:
        raise ArtifactError(f"{place} holds no shards. Run the job with shard='1/n', '2/n' ... first.")
    counts = {int(name.partition("-of-")[2]) for name in names}
    if len(counts) > 1:
        raise ArtifactError(f"{place} holds shards of {listed(sorted(counts))} in all. Keep those of one run.")
    [count] = counts
    shards: dict[str, Manifest] = {}
    for i in range(1, count + 1):
        name = f"{SHARDS}/{i}-of-{count}"
        shard = whole.below(name)
        manifest = Manifest.load(shard)
        if manifest is None or shard.kind(SUCCESS) != "file":
            state = "has not been run" if manifest is None else "is not finished"
            raise ArtifactError(f"the shard {i}/{count} in {place} {state}. Run it, then publish again.")
        shards[name] = manifest
    return shards


def _below(folder: str, part: Part) -> Part:
    return Part(**vars(part) | {"path": f"{folder}/{part.path}"})


def _distinct(manifests: Iterable[Manifest]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for manifest in manifests:
        found += [made for made in manifest.made_by if made not in found]
    return found
