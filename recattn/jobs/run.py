"""A batch job from its inputs to the last byte of its result, however often it is started."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

from recattn.dataset.frames import NO_HISTORY, UNKNOWN_ITEM
from recattn.errors import ArtifactError, ConfigError, DataError, listed
from recattn.jobs import events, faults
from recattn.jobs.facts import facts_of
from recattn.jobs.job import FILES, JobResult, ScoreJob
from recattn.jobs.lock import NAME as LOCK
from recattn.jobs.lock import alone
from recattn.jobs.manifest import (
    KIND,
    MANIFEST,
    OURS,
    PARTS,
    RUN,
    SHARDS,
    SUCCESS,
    WORK,
    Manifest,
    Part,
    check_same,
    kind_of,
)
from recattn.jobs.parts import Progress, Writer, make_parts
from recattn.jobs.plan import Plan, make_plan
from recattn.jobs.storage import Storage, shown
from recattn.jobs.watch import InputChanged, Stamps, check_unchanged, stamps

log = logging.getLogger("recattn")


def run_job(job: ScoreJob, *, progress: Progress | None = None) -> JobResult:
    """Score a slate, or list the best of the catalog, into a folder; or go on where an earlier start was ended.

    The folder holds `parts/part-000000.parquet` and so on, `manifest.json` (what they were made of, their rows and
    sha256), and `_SUCCESS` once all of them are whole. A part counts when the manifest names it.

    Args:
        job: What to do.
        progress: Told of the rows (or requests) done and of all there are, from time to time.

    Raises:
        ArtifactError: The folder holds something else, or the result of other inputs or settings; another process
            works there; the disk refuses.
        DataError: An input breaks a rule, or a limit is passed: the parts are kept. Or an input changed meanwhile:
            they are removed.
        ConfigError: Settings that do not fit the model or the machine.
    """
    since = time.perf_counter()
    whole = Storage.at(job.out)
    own = whole if job.shard is None else whole.below(f"{SHARDS}/{job.shard.replace('/', '-of-')}")
    check_place(whole, job)
    with alone(own.local):
        before = stamps(job)
        plan = make_plan(job)
        manifest = _begin(plan, whole, own)
        wanted = plan.share()
        manifest = replace(manifest, parts=tuple(part for part in manifest.parts if _is_whole(part, own)))
        kept = len(manifest.parts)
        if own.kind(SUCCESS) == "file" and kept == len(wanted):
            log.info("%s is finished already: nothing is left to do", shown(job.out))
            return _result(job, manifest, kept, since, finished_before=True)
        if kept:
            log.info("%s of %s parts are whole; going on", f"{kept:,}", f"{len(wanted):,}")
        own.delete(SUCCESS)
        manifest.save(own)
        events.tell(
            "start",
            f"{shown(job.out)} begins, or goes on",
            out=shown(job.out),
            rows=plan.total,
            parts=len(wanted),
            kept=kept,
            shard=job.shard,
            **plan.manifest.identity["moment"],
            **plan.manifest.made_by[0],
        )
        there = {part.number for part in manifest.parts}
        writer = Writer(own, manifest, [number for number in wanted if number not in there])
        work_folder = None if own.local is None else own.local / WORK
        with _unchanged(plan, before, own):
            make_parts(plan, writer, progress or (lambda done, total: None), work_folder)
        manifest = writer.manifest
        job.fail_if.check(facts_of(manifest), shown(job.out))
        _tell(manifest, plan)
        facts = {"host": socket.gethostname(), "seconds": round(time.perf_counter() - since, 3), "kept_parts": kept}
        own.replace(RUN, json.dumps(facts).encode())
        faults.reach("before_success")
        own.replace(SUCCESS, b"")
        return _result(job, manifest, kept, since)


@contextmanager
def _unchanged(plan: Plan, before: Stamps, own: Storage) -> Iterator[None]:
    """Checks the inputs after the block, and where it fails on them; parts of inputs that changed are removed."""
    try:
        try:
            yield
        except DataError:
            check_unchanged(plan.engine.job, before, plan.manifest.identity["inputs"])
            raise
        check_unchanged(plan.engine.job, before, plan.manifest.identity["inputs"])
    except InputChanged:
        own.delete(*OURS)
        raise


def check_place(whole: Storage, job: ScoreJob) -> None:
    """The door of an output folder.

    Raises:
        ConfigError: It lies inside an input: its parts would be read as input when the job goes on.
        ArtifactError: It is a file, or holds what no job has written.
    """
    place = shown(job.out)
    for name in FILES:
        given = getattr(job, name)
        if given is not None and _inside(job.out, given):
            raise ConfigError(f"{place} lies inside {name}={shown(given)!r}. Name a folder outside of all inputs.")
    if whole.kind() == "file":
        raise ArtifactError(f"{place} is a file. Name a folder.")
    names = whole.names()
    foreign = [name for name in names if name not in OURS and name != LOCK and not name.startswith(".")]
    kind = kind_of(whole)
    if kind is not None and kind != KIND:
        raise ArtifactError(f"{place} holds something of kind {kind!r}, no result of a job. Name another folder.")
    if kind is None:  # no manifest, or one that cannot be read
        foreign += [name for name in (PARTS, RUN) if name in names and MANIFEST not in names]
        if foreign:
            raise ArtifactError(
                f"{place} holds other files ({listed(foreign, 3)}). Name a folder of its own for the job."
            )
    if job.shard is None and SHARDS in names and MANIFEST not in names and not job.overwrite:
        raise ArtifactError(
            f"{place} holds shards of a job. Publish them, name another folder, or pass overwrite=True to begin anew."
        )


def _inside(place: str, folder: str) -> bool:
    inner, outer = (text if "://" in text else os.path.realpath(text) for text in (place, folder))
    return f"{inner.partition('?')[0].rstrip('/')}/".startswith(f"{outer.partition('?')[0].rstrip('/')}/")


def _begin(plan: Plan, whole: Storage, own: Storage) -> Manifest:
    """The manifest to go on from; of the plan alone where there is nothing, or all is to begin anew."""
    job, planned = plan.engine.job, plan.manifest
    if job.overwrite:
        if job.shard is not None:
            whole.delete(SUCCESS, RUN, PARTS, MANIFEST)
        own.delete(*OURS)
        return planned
    if job.shard is not None:
        published = Manifest.load(whole)
        if published is not None:
            check_same(published, planned, job.out)
            if not any(part.path.startswith(SHARDS) for part in published.parts):
                raise ArtifactError(f"{shown(job.out)} holds the result of a job without shards. Name another folder.")
    found = Manifest.load(own)
    if found is None:
        return planned
    check_same(found, planned, job.out)
    [here] = planned.made_by
    if here not in found.made_by:
        log.warning(
            "the parts so far were made by %s and the rest will be by %s: scores agree to 1e-5, not bit by bit",
            json.dumps(found.made_by[-1]),
            json.dumps(here),
        )
        found = replace(found, made_by=(*found.made_by, here))
    return found


def _is_whole(part: Part, storage: Storage) -> bool:
    try:
        if storage.sha256(part.path) == part.sha256:
            return True
    except OSError:
        pass
    log.warning("%s is missing or damaged: it is made again", shown(storage.path(part.path)))
    return False


def _tell(manifest: Manifest, plan: Plan) -> None:
    reasons, rows = manifest.reasons, manifest.rows
    counted = "requests" if plan.engine.job.slate is None else "rows"
    for reason, count in reasons.items():
        log.info("%s %s: %s", f"{count:,}", counted, reason)
    if rows and reasons.get(UNKNOWN_ITEM) == rows:
        log.warning("no row has a score: the model knows none of the items. Is it the model of this catalog?")
    if rows and plan.engine.job.slate is not None and reasons.get(NO_HISTORY) == rows:
        log.warning("no row has a history: the history holds nobody of the slate before the moments asked about.")


def _result(job: ScoreJob, manifest: Manifest, kept: int, since: float, *, finished_before: bool = False) -> JobResult:
    result = JobResult(
        out=job.out,
        rows=manifest.rows,
        parts=len(manifest.parts),
        kept=kept,
        reasons=manifest.reasons,
        seconds=time.perf_counter() - since,
        facts=facts_of(manifest),
        digest=manifest.digest,
        finished_before=finished_before,
    )
    events.tell("finished", f"{shown(job.out)} is finished", **asdict(result) | {"out": shown(job.out)})
    return result
