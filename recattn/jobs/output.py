"""The result of a job as a table to read."""

from __future__ import annotations

from typing import Any

from pyarrow import dataset

from recattn.errors import ArtifactError
from recattn.jobs.manifest import SUCCESS, Manifest
from recattn.jobs.storage import Storage, shown


def open_output(out: str) -> Any:
    """The parts of a finished job, in order, as a `pyarrow.dataset.Dataset` (`.to_table()`, `.to_batches()`).

    Raises:
        ArtifactError: No job has finished there.
    """
    storage = Storage.at(out)
    manifest = Manifest.load(storage)
    if manifest is None or storage.kind(SUCCESS) != "file":
        state = "holds no result of a job" if manifest is None else "is not finished: start the job again to go on"
        raise ArtifactError(f"{shown(out)} {state}.")
    paths = [storage.path(part.path) for part in manifest.parts]
    return dataset.dataset(paths, filesystem=storage.system, format="parquet")
