"""One process at a time on an output folder."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written to: {error.strerror}.") from error
    try:
        holder = os.read(handle, 4096).decode(errors="replace")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ArtifactError(
                f"{folder} is being written by another process ({_named(holder)}). Wait for it, or end it."
            ) from None
        if holder:
            log.info("the lock of a process that is gone (%s) is taken over", _named(holder))
        os.truncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        try:
            yield
        finally:
            os.truncate(handle, 0)  # left in place, empty: a removed lock could be held twice
    finally:
        os.close(handle)


def _named(holder: str) -> str:
    with suppress(ValueError, KeyError, TypeError):
        about = json.loads(holder)
        return f"pid {about['pid']} on {about['host']}"
    return "unknown"
