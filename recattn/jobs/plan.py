"""What a job is made of and how it is cut: the same for the same inputs and settings."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa

from recattn import __version__
from recattn.dataset.doors import candidate_codes, check_items
from recattn.errors import ArtifactError, DataError, listed
from recattn.inference.artifact import MANIFEST as MODEL_MANIFEST
from recattn.inference.predictor import BUDGET, MOST
from recattn.jobs import grouping
from recattn.jobs.engine import EXPLANATION, Engine
from recattn.jobs.job import ScoreJob
from recattn.jobs.manifest import Manifest
from recattn.jobs.slate import Rows, one_column, open_rows
from recattn.jobs.storage import Storage, shown
from recattn.schema.columns import ITEM, PROBABILITY, REASON, REQUEST, SCORE, TIME, USER

log = logging.getLogger("recattn")


@dataclass(frozen=True, eq=False)
class Plan:
    """A job with its inputs open."""

    engine: Engine
    rows: Rows | None  # of the slate or the users file; None: all users of the history
    total: int
    rows_a_part: int
    grouped: bool
    manifest: Manifest  # without parts

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Rows (or requests) of every part; one empty part where there are none."""
        return stretches(self.total, self.rows_a_part)

    def share(self) -> range:
        """The parts of the job's shard."""
        (i, n), parts = self.engine.job.share(), len(self.stretches)
        return range(parts * (i - 1) // n, parts * i // n)

    def keys(self) -> list[str]:
        """Columns of the slate that rows of one request have in common."""
        assert self.rows is not None
        return request_keys(self.rows.names, timed=self.engine.store.times is not None)

    def id_types(self) -> dict[str, Any]:
        """Arrow types of the ids in recommendations; of request_id where the users file has it."""
        ids, users = self.engine.model.blueprint.table.vocabulary.ids, self.engine.store.users
        if self.rows is None:
            return {USER: pa.array(users[:1]).type, ITEM: pa.array(ids[:1]).type}
        empty = self.rows.empty().schema
        types = {name: empty.field(name).type for name in (REQUEST, USER) if name in empty.names}
        plain = {n: t.value_type if pa.types.is_dictionary(t) else t for n, t in types.items()}
        return plain | {ITEM: pa.array(ids[:1]).type}


def make_plan(job: ScoreJob) -> Plan:
    """Open the inputs of a job and cut it into parts."""
    engine = Engine.open(job)
    inputs: dict[str, Any] = {"model": _model_digests(job.model)}
    digest = engine.history_digest
    inputs["history"] = digest if digest is not None else file_digests(job.history)
    rows, skipped = None, {}
    if job.slate is not None:
        rows = open_rows(job.slate, "slate", job.columns, bad_files=job.bad_files, wanted=[USER, ITEM])
        inputs["slate"], skipped = rows.digests(), dict(rows.skipped)
    elif job.users is not None:
        rows = open_rows(job.users, "users", job.columns, bad_files=job.bad_files, wanted=[USER])
        inputs["users"], skipped = rows.digests(), dict(rows.skipped)
    if rows is not None:
        _tell_columns(rows, engine)
    if job.user_features is not None:
        inputs["user_features"] = file_digests(job.user_features)
    engine, digests = with_choices(engine)
    inputs |= digests
    total, size = len(engine.store.users) if rows is None else len(rows), job.part_rows()
    cut = stretches(total, size)
    grouped = job.slate is not None and job.grouping == "requests"
    if job.slate is not None and job.grouping == "auto" and len(cut) > 1 and rows is not None:
        keys = request_keys(rows.names, timed=engine.store.times is not None)
        grouped = grouping.spread(rows, cut, keys) > grouping.MUCH
    identity = {
        "settings": job.settings() | {"stage": engine.stage},
        "inputs": inputs,
        "moment": {"as_of": engine.as_of, "high_water": engine.high_water},
        "plan": {
            "rows": total,
            "rows_a_part": size,
            "parts": len(cut),
            "grouping": "requests" if grouped else "rows",
            "chunk_floats": BUDGET,
            "chunk_requests": MOST,
            "skipped": skipped,
        },
    }
    manifest = Manifest(identity, (_made_by(engine),), shard=job.shard, about=about(engine))
    return Plan(engine, rows, total, size, grouped, manifest)


def with_choices(engine: Engine) -> tuple[Engine, dict[str, Any]]:
    """The engine with the items it may choose from and falls back to, and the digests of their files."""
    job, table, digests = engine.job, engine.model.blueprint.table, dict[str, Any]()
    if job.candidates is not None:
        ids, digests["candidates"] = one_column(job.candidates, "candidates", ITEM, job.columns)
        engine = replace(engine, candidates=candidate_codes(ids.to_pandas().tolist(), table))
    if job.fallback is not None:
        ids, digests["fallback"] = one_column(job.fallback, "fallback", ITEM, job.columns)
        engine = replace(engine, fallback=_fallback(ids, engine))
    return engine, digests


def about(engine: Engine) -> dict[str, Any]:
    """What facts are compared with.

    Raises:
        ConfigError: A limit of what this job cannot tell.
        DataError: The history passes its limit already.
    """
    job, model, store = engine.job, engine.model, engine.store
    own_score, given = engine.stage == model.blueprint.config.score, len(store) + store.dropped
    unknown = store.dropped / given if given else None
    job.fail_if.check_possible(model.profile, slate=job.slate is not None, own_score=own_score)
    if unknown is not None:
        job.fail_if.check_history(unknown, shown(job.out))
    return {
        "slate": job.slate is not None,
        "own_score": own_score,
        "unknown_history": unknown,
        "profile": None if model.profile is None else model.profile.to_dict(),
    }


def stretches(total: int, size: int) -> list[tuple[int, int]]:
    """`total` rows cut after every `size`."""
    return [(start, min(start + size, total)) for start in range(0, total, size)] or [(0, 0)]


def request_keys(names: Sequence[str], *, timed: bool) -> list[str]:
    """Columns that rows of one request have in common, and few rows of others."""
    if REQUEST in names:
        return [REQUEST]
    return [USER, TIME] if timed and TIME in names else [USER]


def file_digests(where: str) -> dict[str, str]:
    """sha256 of a file, or of the visible files of a folder."""
    storage = Storage.at(where)
    if storage.kind() == "file":
        return {Path(where.partition("?")[0]).name: storage.sha256("")}
    return {name: storage.sha256(name) for name in storage.visible()}


def _tell_columns(rows: Rows, engine: Engine) -> None:
    """Warn of columns that were asked for and are not there, and of those the result takes the place of."""
    job = engine.job
    for ours in (TIME, REQUEST):  # other columns are refused, or of no use here
        theirs = job.columns.get(ours)
        if theirs is not None and ours not in rows.names and (ours == REQUEST or engine.history_digest is not None):
            log.warning("%s has no column %r, which columns asks to take for %s: it has none", rows.what, theirs, ours)
    made = [
        SCORE,
        REASON,
        *([PROBABILITY] if engine.model.calibration else []),
        *([EXPLANATION] if job.explain else []),
    ]
    for name in made if job.slate is not None else []:
        if name in rows.names:
            log.warning("the slate's own column %r is replaced by the job's; rename it to keep it", name)


def _model_digests(folder: str) -> dict[str, str]:
    try:
        return dict(json.loads((Path(folder) / MODEL_MANIFEST).read_text())["parts"])
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"the model in {folder} cannot be read: {error}.") from error


def _fallback(ids: Any, engine: Engine) -> Any:
    table = engine.model.blueprint.table
    given = ids.to_pandas()
    check_items(given, "fallback", table.vocabulary)
    if given.isna().any() or given.duplicated().any() or not len(given):
        wrong = "no item" if not len(given) else "a null item_id" if given.isna().any() else "an item_id twice"
        raise DataError(f"fallback has {wrong}. List items once each, the best first.")
    unknown = given[table.vocabulary.encode(given) < 0]
    if len(unknown):
        raise DataError(f"fallback has {len(unknown):,} items that the model does not know: {listed(unknown, 3)}.")
    return ids.cast(pa.array(table.vocabulary.ids[:1]).type)


def _made_by(engine: Engine) -> dict[str, Any]:
    import torch

    libraries = {name: metadata.version(name) for name in ("torch", "numpy", "pandas", "pyarrow")}
    return {
        "device": str(engine.predictor.device),
        "threads": engine.predictor.threads or torch.get_num_threads(),
        "versions": {"recattn": __version__, "python": platform.python_version(), **libraries},
    }
