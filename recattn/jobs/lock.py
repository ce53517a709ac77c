"""One process at a time on an output folder."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recattn.errors import ArtifactError

NAME = ".lock"
log = logging.getLogger("recattn")


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Hold `folder/.lock`, which names the process and its machine; the lock of a dead process is taken over.

    The system lets go of the lock when the process ends, however it ends. An object store (`folder` None) has no
    such lock: there the same job run twice writes the same files twice, and the last manifest stands.

    Raises:
        ArtifactError: Another process works there, or the folder cannot be written to.
    """
    if folder is None:
        yield
        return
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path = folder / NAME
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    handle = None
    try:
        while handle is None:
            folder.mkdir(parents=True, exist_ok=True)
            handle = _held(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), path, fcntl)
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written to: {error.strerror}.") from error
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever has opened it meanwhile sees that it is gone
        os.close(handle)
        with suppress(OSError):
            for place in made:  # by a start that has written nothing
                place.rmdir()


def _held(handle: int, path: Path, fcntl: Any) -> int | None:
    """The handle with its file locked; None, and closed, where the file was removed before that."""
    try:
        holder = os.read(handle, 4096).decode(errors="replace")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ArtifactError(
                f"{path.parent} is being written by another process ({_named(holder)}). Wait for it, or end it."
            ) from None
        if not path.exists() or not os.path.samestat(os.fstat(handle), path.stat()):
            os.close(handle)
            return None
    except ArtifactError:
        os.close(handle)
        raise
    if holder:
        log.info("the lock of a process that is gone (%s) is taken over", _named(holder))
    return handle


def _named(holder: str) -> str:
    with suppress(ValueError, KeyError, TypeError):
        about = json.loads(holder)
        return f"pid {about['pid']} on {about['host']}"
    return "unknown"
