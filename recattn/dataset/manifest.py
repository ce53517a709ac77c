"""What `store.json` says: the segments of a store, what they were made from, and up to when."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from recattn.config import Time
from recattn.errors import ArtifactError

FORMAT = 2
MANIFEST, SEGMENTS, LOCK = "store.json", "segments", ".lock"


@dataclass(frozen=True)
class Manifest:
    """A store at one moment. Generation g is the store after g appends; each segment tells which ones it holds."""

    time: Time
    segments: dict[str, dict[str, Any]]  # folder name -> counts, columns, first and last generation
    items: str = "items.parquet"
    behaviours: str | None = None
    high_water: int | None = None  # the latest moment of the log, seconds UTC; None: order only, or not recorded
    generations: list[dict[str, Any]] = field(default_factory=list)  # rows, late rows, sources of each

    @property
    def generation(self) -> int:
        """How often was appended."""
        return max((about.get("last", 0) for about in self.segments.values()), default=0)

    @property
    def sources(self) -> dict[str, str]:
        """sha256 of each file that went in -> its name."""
        return {source["sha256"]: source["name"] for step in self.generations for source in step["sources"]}

    @property
    def next_segment(self) -> str:
        """The name of the folder after the last."""
        return f"{max(map(int, self.segments)) + 1:06d}"

    def up_to(self, generation: int) -> Manifest:
        """The store as it was; ValueError where its segments have been put together with later ones."""
        kept = {name: about for name, about in self.segments.items() if about.get("first", 0) <= generation}
        if any(about.get("last", 0) > generation for about in kept.values()):
            raise ValueError(f"generation {generation} has been put together with later ones")
        return replace(self, segments=kept)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the store in a folder, of any format up to ours.

    Raises:
        ArtifactError: No store there, a newer format, or a damaged manifest.
    """
    try:
        found = json.loads((path / MANIFEST).read_text())
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{path} is not a history store: it has no {MANIFEST}.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path / MANIFEST} is damaged: {error}. Prepare the store again.") from error
    if found.get("kind") != "history_store" or found.get("format", 0) > FORMAT:
        raise ArtifactError(
            f"{path} has format {found.get('format')} of {found.get('kind')!r}; this recattn reads history_store "
            f"up to format {FORMAT}. Upgrade recattn."
        )
    if found["format"] == 1:
        events = "behaviours.parquet" if (path / "behaviours.parquet").exists() else None
        return Manifest(found.get("time", "timestamp"), found.get("segments", {}), behaviours=events)
    try:
        return Manifest(**{key: value for key, value in found.items() if key not in ("format", "kind")})
    except TypeError as error:
        raise ArtifactError(f"{path / MANIFEST} is damaged: {error}. Prepare the store again.") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Put the manifest in place of the one there, at once: from here on the store is the new one."""
    partial = path / f".{MANIFEST}.partial"
    with partial.open("w") as file:
        json.dump({"format": FORMAT, "kind": "history_store"} | asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path / MANIFEST)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One writer at a time; the lock of a process that died is free. Without `fcntl` (Windows) nothing is locked."""
    with (path / LOCK).open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except ImportError:
            pass
        yield
