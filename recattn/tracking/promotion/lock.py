"""One process at a time on a registered model, on one host."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from recattn.errors import ArtifactError

WAIT_SECONDS = 60.0


@contextlib.contextmanager
def one_at_a_time(mlflow_uri: str, name: str, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of `name` in this MLflow; wait for the process that has it.

    The system lets go of it when the process ends, however it ends. It is an empty file beside a SQLite database, else
    in the temporary folder: processes of one host that name the server in one way and see one such folder. Windows has
    no such lock. Raises ArtifactError where it is held for longer than `wait` seconds.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = _place(mlflow_uri, name)
    handle = _open(path)
    try:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    raise ArtifactError(
                        f"another process of this host has worked on model {name!r} for {wait:g} seconds (lock "
                        f"{path}). Wait for it, or end it."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)  # the file stays: a removed lock could be held twice


def _place(mlflow_uri: str, name: str) -> Path:
    url = make_url(mlflow_uri) if "://" in mlflow_uri else None
    if url is not None and url.drivername.startswith("sqlite") and url.database:
        folder, what = Path(url.database).resolve().parent, Path(url.database).name
    else:
        bare = mlflow_uri if url is None else f"{url.host}:{url.port}/{url.database or ''}".rstrip("/")
        folder, what = Path(tempfile.gettempdir()), bare
    return folder / f".recattn-{hashlib.sha256(f'{what} {name}'.encode()).hexdigest()[:16]}.lock"


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's file: it can be locked all the same
        try:
            return os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ArtifactError(f"{path} cannot be opened for the lock: {error.strerror}.") from error
