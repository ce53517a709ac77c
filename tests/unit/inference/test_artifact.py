"""Tests of a fitted model written as a folder, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import pickle
import pickletools
import re
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from recattn.errors import ArtifactError
from recattn.inference import artifact
from recattn.inference.artifact import load_model, save_model
from recattn.inference.model import FittedModel

PARTS = [
    "behaviours.parquet",
    "config.json",
    "items.parquet",
    "profile.json",
    "tables.safetensors",
    "weights.safetensors",
]


def test_a_model_comes_back_as_it_was(model: FittedModel, saved: Path) -> None:
    again = load_model(saved)
    mine, theirs = model.scorer.state_dict(), again.scorer.state_dict()
    assert list(theirs) == list(mine)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    before, after = model.blueprint, again.blueprint
    assert (after.config, after.train, after.time_scale) == (before.config, before.train, before.time_scale)
    assert (after.users, after.context, after.table.fitted) == (before.users, before.context, before.table.fitted)
    assert after.table.vocabulary == before.table.vocabulary
    assert after.behaviours == before.behaviours
    for name, array in before.table.to_arrays()[0].items():
        np.testing.assert_array_equal(after.table.to_arrays()[0][name], array)
    assert not again.scorer.training


def test_the_folder_holds_named_parts_with_their_digests(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    assert (manifest["kind"], manifest["format"]) == ("recommender", 1)
    assert sorted(path.name for path in saved.iterdir()) == sorted([*PARTS, "manifest.json"])
    assert manifest["parts"] == {name: hashlib.sha256((saved / name).read_bytes()).hexdigest() for name in PARTS}


def is_pickle(content: bytes) -> bool:
    try:
        return len(list(pickletools.genops(content))) > 0
    except (ValueError, IndexError, UnicodeError):
        return False


def test_no_part_is_a_pickle(saved: Path, tmp_path: Path) -> None:
    assert {path.suffix for path in saved.iterdir()} == {".json", ".parquet", ".safetensors"}
    for path in saved.iterdir():
        assert not is_pickle(path.read_bytes()), path.name
        assert not zipfile.is_zipfile(path), path.name  # torch.save
        assert not re.search(rb"pickle|__reduce|c__builtin__|cnumpy|ctorch", path.read_bytes()), path.name
    assert is_pickle(pickle.dumps({"a": np.arange(3)})), "the test would see one"


def test_whoever_may_read_one_part_may_read_all(saved: Path) -> None:
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1


def test_no_user_is_in_it(saved: Path, world: Any) -> None:
    for path in saved.iterdir():
        content = path.read_bytes()
        assert not [user for user in world.log["user_id"].unique() if user.encode() in content], path.name


def test_saving_twice_writes_the_same_bytes(model: FittedModel, saved: Path, tmp_path: Path) -> None:
    save_model(model, tmp_path / "again")
    for path in saved.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_folders_above_are_made(model: FittedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a" / "b" / "model")
    load_model(tmp_path / "a" / "b" / "model")


def test_a_folder_that_is_there_is_kept_unless_told_otherwise(model: FittedModel, folder: Path) -> None:
    (folder / "config.json").write_text("changed")
    with pytest.raises(ArtifactError, match=r"model already exists\. Pass overwrite=True to replace it"):
        save_model(model, folder)
    assert (folder / "config.json").read_text() == "changed"
    save_model(model, folder, overwrite=True)
    load_model(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def full_disk(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_disk_as_safetensors_says_it(*_: Any) -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.fixture(params=["weights", "tables", "vocabulary"])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when this part is written."""
    if request.param == "weights":
        monkeypatch.setattr(artifact, "save_tensors", full_disk_as_safetensors_says_it)
    elif request.param == "tables":
        monkeypatch.setattr(artifact, "save_arrays", full_disk_as_safetensors_says_it)
    else:
        monkeypatch.setattr(artifact.Vocabulary, "save", full_disk)


def test_a_full_disk_leaves_nothing_behind(model: FittedModel, tmp_path: Path, failing: None) -> None:
    with pytest.raises(
        ArtifactError, match=r"the model could not be written to .*new: .*No space left on device.*Nothing"
    ):
        save_model(model, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_was_there(model: FittedModel, folder: Path, failing: None) -> None:
    with pytest.raises(ArtifactError, match=r"No space left on device.*What was there is kept"):
        save_model(model, folder, overwrite=True)
    load_model(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_disk_that_takes_no_more_bytes_leaves_nothing_behind(model: FittedModel, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(
            ArtifactError, match=r"the model could not be written to .*File too large.*Nothing was left"
        ):
            save_model(model, tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["mkdir", "rename"])
def test_no_permission_leaves_nothing_behind(
    model: FittedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, which, refused)
    with pytest.raises(
        ArtifactError, match=r"could not be written to .*new: Permission denied\. Nothing was left there"
    ):
        save_model(model, tmp_path / "new")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_exchange_puts_the_old_one_back(
    model: FittedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def only_the_old(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", only_the_old)
    with pytest.raises(ArtifactError, match=r"Permission denied\. What was there is kept"):
        save_model(model, folder, overwrite=True)
    load_model(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
