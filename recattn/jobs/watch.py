"""Inputs of a job that are written to while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recattn.dataset.manifest import SEGMENTS
from recattn.dataset.store_files import is_store
from recattn.errors import DataError, listed
from recattn.jobs.job import FILES, ScoreJob
from recattn.jobs.slate import CSV, PARQUET
from recattn.jobs.storage import Storage


class InputChanged(DataError):
    """An input is no longer what it was when the job began."""


Stamps = Mapping[str, Mapping[str, tuple[int, int]]]


def stamps(job: ScoreJob) -> Stamps:
    """Size and time of every file of each input, by its setting.

    Of a history store the segments alone: what is appended meanwhile is not looked at.
    """
    given = {name: getattr(job, name) for name in FILES}
    found = {name: Storage.at(where).stamps() for name, where in given.items() if where is not None}
    if is_store(job.history):
        found["history"] = {file: stamp for file, stamp in found["history"].items() if file.startswith(f"{SEGMENTS}/")}
    return found


def check_unchanged(job: ScoreJob, before: Stamps, inputs: Mapping[str, Any]) -> None:
    """InputChanged where an input is no longer what it was; a file written again with the same bytes is the same.

    Args:
        job: Whose inputs.
        before: Their stamps before they were read.
        inputs: sha256 by file of each input, as the plan has them.
    """
    now = stamps(job)
    for name, files in before.items():
        segments = name == "history" and is_store(job.history)
        storage, known = Storage.at(getattr(job, name)), inputs.get(name)
        odd = [file for file, stamp in files.items() if now[name].get(file, stamp if segments else None) != stamp]
        if not segments:
            odd += [file for file in now[name] if file not in files]
        if isinstance(known, Mapping):  # by their digests; files that the job does not read may change
            read = [file for file in odd if file in known or (name != "model" and file.lower().endswith(PARQUET + CSV))]
            odd = [file for file in read if file not in now[name] or not _same(storage, file, known)]
        if odd:
            raise InputChanged(
                f"{name} changed while the job ran: {listed(odd, 3)}. Nothing is published, and the parts made so far "
                "are removed. Start again once the inputs are whole."
            )


def _same(storage: Storage, file: str, known: Mapping[str, str]) -> bool:
    only = len(known) == 1 and storage.kind() == "file"
    return storage.sha256("" if only else file) == (next(iter(known.values())) if only else known.get(file))
