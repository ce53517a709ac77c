"""The history store on disk: numbered segments of plain arrays."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sized
from dataclasses import replace
from pathlib import Path

from recattn.dataset.compact import compact_store, open_segments
from recattn.dataset.history import HistoryStore
from recattn.dataset.manifest import MANIFEST, SEGMENTS, Manifest, read_manifest, write_manifest
from recattn.dataset.segment import write_segment
from recattn.errors import ArtifactError

COMPACT_FROM = 1_000_000  # rows: smaller stores are merged in memory
log = logging.getLogger("recattn")


def is_store(path: str | Path) -> bool:
    """Whether `path` is a folder that `save_store` wrote."""
    return (Path(path) / MANIFEST).exists()


def save_store(store: HistoryStore, path: Path, *, overwrite: bool = False) -> HistoryStore:
    """Write `store` under `path`: `store.json`, `items.parquet`, and one folder `segments/000000`.

    The folder appears under its name only when it is whole.

    Raises:
        ArtifactError: The folder exists and `overwrite` is false, or it cannot be written.
    """

    def write(folder: Path) -> None:
        segment = folder / SEGMENTS / "000000"
        segment.mkdir(parents=True)
        store.item_vocabulary.save(folder / "items.parquet")
        behaviours = None
        if store.behaviour_vocabulary is not None:
            behaviours = "behaviours.parquet"
            store.behaviour_vocabulary.save(folder / behaviours)
        about = write_segment(store, segment) | first_generation(store.item_vocabulary, store.behaviour_vocabulary)
        write_manifest(
            folder, Manifest(store.time, {"000000": about}, behaviours=behaviours, high_water=about["high_water"])
        )

    write_folder(path, write, overwrite=overwrite, what="history store")
    return open_store(path)


def first_generation(items: Sized, behaviours: Sized | None) -> dict[str, int]:
    """What the manifest keeps about when a new store's segment came."""
    return {"first": 0, "last": 0, "items": len(items), "behaviours": 0 if behaviours is None else len(behaviours)}


def open_store(path: Path, generation: int | None = None) -> HistoryStore:
    """Open a store folder; arrays are memory-mapped.

    Several segments are put together first: on the disk for all later readers where there are many rows and the
    folder can be written to, else in memory.

    Args:
        path: The folder.
        generation: The store as it was after that many appends, which is what its pickled form means.

    Raises:
        ArtifactError: No store there, a newer format, a damaged segment, or a generation that is gone.
    """
    path = Path(path).absolute()
    manifest = read_manifest(path)
    newest = generation is None or generation == manifest.generation
    rows = sum(about.get("interactions", 0) for about in manifest.segments.values())
    if newest and len(manifest.segments) > 1 and rows >= COMPACT_FROM:
        try:
            manifest = compact_store(path)
        except ArtifactError as error:
            log.warning("%s Its %s rows are put together in memory.", error, f"{rows:,}")
    try:
        wanted = manifest if generation is None else manifest.up_to(generation)
    except ValueError as error:
        raise ArtifactError(
            f"the history store {path} has grown since it was opened: {error}. Open it again."
        ) from error
    try:
        segments = open_segments(path, wanted)
    except ArtifactError:
        if read_manifest(path) == manifest:
            raise
        return open_store(path, generation)  # another process has put its segments together meanwhile
    store = segments[0] if len(segments) == 1 else HistoryStore.merge(segments)
    return replace(store, path=path, generation=wanted.generation)


def write_folder(path: Path, write: Callable[[Path], None], *, overwrite: bool, what: str) -> None:
    """Let `write` fill a hidden sibling folder, then give it the name `path`; nothing half-written stays behind.

    Raises:
        ArtifactError: The target exists and `overwrite` is false, or the disk refuses.
    """
    path = Path(path)
    if _is_there(path) and not overwrite:
        raise ArtifactError(f"{path} already exists. Pass overwrite=True to replace it, or choose another folder.")
    partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write(partial)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not path.exists():
            old.rename(path)
        left = "What was there is kept" if path.exists() else "Nothing was left there"
        raise ArtifactError(f"the {what} could not be written to {path}: {error.strerror or error}. {left}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be looked at: {error.strerror or error}.") from error
