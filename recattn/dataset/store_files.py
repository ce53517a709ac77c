"""The history store on disk: numbered segments of plain arrays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recattn.dataset.history import COLUMNS, HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError

FORMAT = 1
MANIFEST = "store.json"


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
        segment = folder / "segments" / "000000"
        segment.mkdir(parents=True)
        store.item_vocabulary.save(folder / "items.parquet")
        if store.behaviour_vocabulary is not None:
            store.behaviour_vocabulary.save(folder / "behaviours.parquet")
        Vocabulary("user_id", store.users).save(segment / "users.parquet")
        np.save(segment / "offsets.npy", store.offsets, allow_pickle=False)
        present = [name for name in COLUMNS if getattr(store, name) is not None]
        for name in present:
            np.save(segment / f"{name}.npy", getattr(store, name), allow_pickle=False)
        extras = {}
        for number, (name, values) in enumerate(store.extras.items()):
            np.save(segment / f"extra{number}.npy", _plain_extra(name, values), allow_pickle=False)
            extras[name] = f"extra{number}.npy"
        about = {
            "users": len(store.users),
            "interactions": len(store),
            "dropped": store.dropped,
            "columns": present,
            "extras": extras,
        }
        manifest = {
            "format": FORMAT,
            "kind": "history_store",
            "time": store.time,
            "segments": {"000000": about},
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))

    write_folder(path, write, overwrite=overwrite, what="history store")
    return open_store(path)


def open_store(path: Path) -> HistoryStore:
    """Open a store folder; arrays are memory-mapped. Several segments are merged in memory.

    Raises:
        ArtifactError: No store there, a newer format, or a damaged segment.
    """
    path = Path(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        if not isinstance(manifest, dict):
            raise ValueError(f"it holds a {type(manifest).__name__}")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{path} is not a history store: it has no {MANIFEST}.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path / MANIFEST} is damaged: {error}. Prepare the store again.") from error
    if manifest.get("kind") != "history_store" or manifest.get("format", 0) > FORMAT:
        raise ArtifactError(
            f"{path} has format {manifest.get('format')} of {manifest.get('kind')!r}; this recattn reads history_store "
            f"up to format {FORMAT}. Upgrade recattn."
        )
    try:
        items = Vocabulary.load(path / "items.parquet")
        events = path / "behaviours.parquet"
        behaviours = Vocabulary.load(events) if events.exists() else None
        segments = [
            _open_segment(path / "segments" / name, about, items, behaviours)
            for name, about in manifest["segments"].items()
        ]
    except FileNotFoundError as error:
        lost = Path(error.filename or str(error)).name
        raise ArtifactError(f"the history store {path} is damaged: {lost} is missing. Prepare it again.") from error
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"the history store {path} is damaged: {error}. Prepare it again.") from error
    if len(segments) > 1:
        return HistoryStore.merge(segments)
    return HistoryStore(**segments[0].__dict__ | {"path": path.absolute()})


def _open_segment(
    folder: Path, about: dict[str, Any], items: Vocabulary, behaviours: Vocabulary | None
) -> HistoryStore:
    def mapped(name: str) -> np.ndarray:
        values = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        if len(values) != about["interactions"]:
            raise ValueError(f"{folder.name}/{name} has {len(values)} rows, {about['interactions']} expected")
        return values

    users = Vocabulary.load(folder / "users.parquet").ids
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    if len(offsets) != len(users) + 1 or offsets[-1] != about["interactions"]:
        raise ValueError(f"{folder.name}/offsets.npy does not fit {len(users)} users with {about['interactions']} rows")
    columns = {name: mapped(f"{name}.npy") if name in about["columns"] else None for name in COLUMNS}
    return HistoryStore(
        users=users,
        offsets=offsets,
        item_vocabulary=items,
        behaviour_vocabulary=behaviours,
        extras={name: mapped(file) for name, file in about["extras"].items()},
        dropped=about["dropped"],
        **columns,  # type: ignore[arg-type]
    )


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


def _plain_extra(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype != object:
        return values
    if not all(isinstance(value, str) for value in values):
        raise ArtifactError(f"the extra column {name!r} holds mixed objects, which cannot be saved. Convert it to str.")
    return values.astype(str)
