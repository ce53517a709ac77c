"""The segments of a store put together into one, block by block."""

from __future__ import annotations

import mmap
import shutil
from pathlib import Path

from recattn.dataset.history import COLUMNS, HistoryStore
from recattn.dataset.manifest import SEGMENTS, Manifest, locked, read_manifest, write_manifest
from recattn.dataset.merge import merged_blocks
from recattn.dataset.segment import SegmentWriter, open_segment
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError

BLOCK_ROWS = 500_000  # in memory at a time, some 150 bytes each


def open_segments(path: Path, manifest: Manifest) -> list[HistoryStore]:
    """The segments a manifest names, memory-mapped, in the codes that the last of them has.

    Raises:
        ArtifactError: A file is missing or damaged.
    """
    try:
        items = _first(Vocabulary.load(path / manifest.items), manifest, "items")
        behaviours = None
        if manifest.behaviours is not None:
            behaviours = _first(Vocabulary.load(path / manifest.behaviours), manifest, "behaviours")
        found = [
            open_segment(path / SEGMENTS / name, about, items, behaviours) for name, about in manifest.segments.items()
        ]
        if not found:
            raise ValueError("it has no segment")
    except FileNotFoundError as error:
        lost = Path(error.filename or str(error)).name
        raise ArtifactError(f"the history store {path} is damaged: {lost} is missing. Prepare it again.") from error
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"the history store {path} is damaged: {error}. Prepare it again.") from error
    return found


def compact_store(path: Path, *, block_rows: int = BLOCK_ROWS) -> Manifest:
    """Put all segments together into a new one; the manifest of the store after that.

    Killed at any moment it leaves the store as it was. A reader that has the old segments open keeps them.

    Raises:
        ArtifactError: The folder cannot be written to, or the disk is full; the store stays as it was.
    """
    try:
        with locked(path):
            manifest = read_manifest(path)
            clean(path, manifest)
            if len(manifest.segments) == 1:
                return manifest
            name = manifest.next_segment
            folder = new_folder(path, name)
            try:
                about = _merge_into(folder, open_segments(path, manifest), block_rows)
                folder.rename(path / SEGMENTS / name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            spans = list(manifest.segments.values())
            about |= {"first": min(span.get("first", 0) for span in spans), "last": manifest.generation}
            about |= {key: max(span.get(key, 0) for span in spans) for key in ("items", "behaviours")}
            after = Manifest(**manifest.__dict__ | {"segments": {name: about}})
            write_manifest(path, after)
            clean(path, after)
            return after
    except OSError as error:
        raise ArtifactError(
            f"the segments of {path} cannot be put together on the disk: {error.strerror or error}."
        ) from error


def new_folder(path: Path, name: str) -> Path:
    """An empty folder for a segment that is being written."""
    folder = path / SEGMENTS / f".{name}.partial"
    folder.mkdir()
    return folder


def clean(path: Path, manifest: Manifest) -> None:
    """Take away what the manifest does not name: leftovers of writers that were killed, segments put together."""
    for folder in (path / SEGMENTS).iterdir():
        if folder.name not in manifest.segments:
            shutil.rmtree(folder, ignore_errors=True)
    for kind in ("items", "behaviours"):
        for file in path.glob(f"{kind}*.parquet"):
            if file.name not in (manifest.items, manifest.behaviours):
                file.unlink(missing_ok=True)


def _first(vocabulary: Vocabulary, manifest: Manifest, kind: str) -> Vocabulary:
    """What the vocabulary held when the last of the segments was written: it only grows at its end."""
    counts = [about[kind] for about in manifest.segments.values() if kind in about]
    count = max(counts, default=len(vocabulary))
    return vocabulary if count >= len(vocabulary) else Vocabulary(vocabulary.name, vocabulary.ids[:count])


def _merge_into(folder: Path, stores: list[HistoryStore], block_rows: int) -> dict[str, object]:
    writer: SegmentWriter | None = None
    for block in merged_blocks(stores, block_rows):
        writer = writer or SegmentWriter(folder, {name: values.dtype for name, values in block.extras.items()})
        writer.add(block)
        for store in stores:
            _forget(store)
    assert writer is not None
    return writer.close()


def _forget(store: HistoryStore) -> None:
    """Give back the memory of the pages that were read."""
    for values in (*(getattr(store, name) for name in COLUMNS), *store.extras.values()):
        mapping = getattr(values, "_mmap", None)
        if mapping is not None and hasattr(mapping, "madvise"):
            mapping.madvise(mmap.MADV_DONTNEED)
