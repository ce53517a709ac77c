"""Tags that say which code made a run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

_PACKAGES = ("torch", "lightning", "pandas", "numpy", "mlflow")


def versions() -> dict[str, str]:
    """Versions of Python, recattn, and the packages that a result depends on."""
    import recattn

    tags = {"recattn.version": recattn.__version__, "recattn.python": platform.python_version()}
    for package in _PACKAGES:
        try:
            tags[f"recattn.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return tags


def git() -> dict[str, str]:
    """The working directory's commit and whether tracked files differ from it; empty outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {"recattn.git_commit": commit[:12]}
    status = _git("status", "--porcelain", "--untracked-files=no")
    if status is not None:
        tags["recattn.git_dirty"] = str(bool(status)).lower()
    return tags


def digest(values: Any) -> str:
    """16 hex digits of the values' canonical JSON; the order of keys does not matter."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_seed(config: Any) -> Any:
    """A configuration, as nested mappings, without the entries called `seed`."""
    if not isinstance(config, Mapping):
        return config
    return {name: without_seed(value) for name, value in config.items() if name != "seed"}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
