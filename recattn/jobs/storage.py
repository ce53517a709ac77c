"""Files under one root, on a disk or in an object store: the only place where jobs touch either."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs as pafs

from recattn.errors import ArtifactError, ConfigError
from recattn.jobs import faults

BLOCK = 2**22


@dataclass(frozen=True)
class Storage:
    """A root with files named relative to it."""

    system: Any  # pyarrow.fs.FileSystem
    root: str
    local: Path | None  # the root on a local disk

    @classmethod
    def at(cls, where: str | Path) -> Storage:
        """A local path, or a URI that pyarrow or fsspec knows, such as `s3://bucket/folder`.

        Raises:
            ConfigError: A URI of an unknown kind.
        """
        text = str(where)
        if "://" not in text or text.startswith("file://"):
            path = Path(text.removeprefix("file://")).absolute()
            return cls(pafs.LocalFileSystem(), str(path), path)
        try:
            system, root = pafs.FileSystem.from_uri(text)
        except (pa.ArrowException, ValueError, OSError) as error:
            system, root = _by_fsspec(text, error)
        return cls(system, root.rstrip("/"), None)

    def path(self, name: str) -> str:
        """Where the file lies."""
        return f"{self.root}/{name}" if name else self.root

    def kind(self, name: str = "") -> str:
        """`file`, `folder` or `nothing`."""
        with _told(self.path(name), "looked at"):
            found = self.system.get_file_info(self.path(name)).type
        return {pafs.FileType.File: "file", pafs.FileType.Directory: "folder"}.get(found, "nothing")

    def below(self, folder: str) -> Storage:
        """The same place with a folder of it as root."""
        local = None if self.local is None else self.local / folder
        return Storage(self.system, self.path(folder), local)

    def names(self) -> list[str]:
        """Files and folders right under the root."""
        with _told(self.root, "listed"):
            found = self.system.get_file_info(pafs.FileSelector(self.root, allow_not_found=True))
        return sorted(info.base_name for info in found)

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of every file below a folder by name, in the order of names; nothing where there is no such folder."""
        return {name: info.size for name, info in self._files(folder).items()}

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Size and time of change (ns, 0 where nobody can tell) of every visible file; of the root, where it is one."""
        with _told(self.root, "looked at"):
            own = self.system.get_file_info(self.root)
        if own.type == pafs.FileType.File:
            return {own.base_name: (own.size, own.mtime_ns or 0)}
        return {name: (f.size, f.mtime_ns or 0) for name, f in self._files("").items() if _is_visible(name)}

    def visible(self) -> list[str]:
        """Every file, but for those whose name or folder begins with a dot or an underscore."""
        return [name for name in self.sizes() if _is_visible(name)]

    def read(self, name: str) -> bytes:
        """A whole file; FileNotFoundError where there is none."""
        with self.system.open_input_stream(self.path(name)) as stream:
            return stream.read()

    def sha256(self, name: str) -> str:
        """The sha256 of a file, read block by block."""
        state = hashlib.sha256()
        with self.system.open_input_stream(self.path(name), compression=None) as stream:
            while block := stream.read(BLOCK):
                state.update(block)
        return state.hexdigest()

    def put(self, name: str, data: bytes | memoryview, *, number: int = -1) -> None:
        """Write a file under its final name, on the disk when this returns; a crash may leave it half-written.

        Raises:
            ArtifactError: The disk or the store refuses.
        """
        with _told(self.path(name), "written"):
            if self.local is None:
                self._upload(name, data, number)
                return
            path = self.local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                _write(file, data, number)
                file.flush()
                os.fsync(file.fileno())

    def replace(self, name: str, data: bytes, *, number: int = -1) -> None:
        """Write a file so that readers see the old or the new one, whole: on a disk by renaming, else by one put."""
        with _told(self.path(name), "written"):
            if self.local is None:
                faults.reach("before_manifest", number)
                self._upload(name, data)
                return
            path, partial = self.local / name, self.local / f".{name}.partial"
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            faults.reach("before_manifest", number)
            os.replace(partial, path)
            _sync_folder(path.parent)

    def delete(self, *names: str) -> None:
        """Remove files and folders; those that are not there are passed over."""
        for name in names:
            with _told(self.path(name), "removed"):
                kind = self.kind(name)
                if kind == "folder":
                    self.system.delete_dir(self.path(name))
                elif kind == "file":
                    self.system.delete_file(self.path(name))

    def free_bytes(self) -> int | None:
        """What the disk has left; None where nobody can tell."""
        place = self.local
        while place is not None and not place.exists():
            place = place.parent if place.parent != place else None
        return None if place is None else shutil.disk_usage(place).free

    def _files(self, folder: str) -> dict[str, Any]:
        """What the system says of every file below a folder, by name, in the order of names."""
        selector = pafs.FileSelector(self.path(folder), recursive=True, allow_not_found=True)
        with _told(self.path(folder), "listed"):
            found = self.system.get_file_info(selector)
        start = len(self.root) + 1
        files = {info.path[start:]: info for info in found if info.type == pafs.FileType.File}
        return dict(sorted(files.items(), key=lambda file: file[0].split("/")))

    def _upload(self, name: str, data: bytes | memoryview, number: int = -1) -> None:
        with self.system.open_output_stream(self.path(name), compression=None) as stream:
            _write(stream, data, number)


def _is_visible(name: str) -> bool:
    return not any(part[0] in "._" for part in name.split("/"))


def shown(where: str | Path) -> str:
    """A path or URI for messages: without the keys and options a URI may carry."""
    text = str(where).partition("?")[0]
    scheme, mark, rest = text.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else text


@contextmanager
def _told(path: str, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition(". Detail")[0]
        raise ArtifactError(f"{path} cannot be {what}: {reason}.") from error


def _write(file: Any, data: bytes | memoryview, number: int) -> None:
    if faults.due("within_part_write", number):
        file.write(data[: len(data) // 2])
        file.flush()
        faults.reach("within_part_write", number)
    file.write(data)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _by_fsspec(uri: str, first: Exception) -> tuple[Any, str]:
    try:
        system, root = importlib.import_module("fsspec.core").url_to_fs(uri)
    except (ImportError, ValueError) as error:
        reason = str(first or error).replace(uri, shown(uri)).rstrip(".")
        message = f"{shown(uri)!r} is no place that pyarrow or fsspec can reach: {reason}."
        raise ConfigError(message) from None  # the first error may quote the keys
    return pafs.PyFileSystem(pafs.FSSpecHandler(system)), root
