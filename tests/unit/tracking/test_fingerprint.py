"""Tags that say which code made a run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from recattn.tracking import fingerprint


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert fingerprint.digest({"a": 1, "b": [2]}) == fingerprint.digest({"b": [2], "a": 1})
    assert fingerprint.digest({"a": 1}) != fingerprint.digest({"a": 2})


def test_the_commit_is_that_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert fingerprint.git() == {}
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    (tmp_path / "a.txt").write_text("1")
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", *arguments], check=True)
    (tmp_path / "untracked.txt").write_text("1")
    assert fingerprint.git()["recattn.git_dirty"] == "false"
    assert len(fingerprint.git()["recattn.git_commit"]) == 12
    (tmp_path / "a.txt").write_text("2")
    assert fingerprint.git()["recattn.git_dirty"] == "true"


def test_without_git_there_are_no_git_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert fingerprint.git() == {}
