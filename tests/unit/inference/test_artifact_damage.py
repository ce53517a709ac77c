"""Tests of model folders that are damaged, foreign or newer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recattn.errors import ArtifactError
from recattn.inference.artifact import load_model

PARTS = [
    "behaviours.parquet",
    "config.json",
    "items.parquet",
    "profile.json",
    "tables.safetensors",
    "weights.safetensors",
]


def sign_again(folder: Path, **changes: Any) -> None:
    """A manifest that suits the parts as they are now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["parts"]:
        if (folder / name).is_file():
            manifest["parts"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def test_where_there_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("empty", "nowhere", "file"):
        with pytest.raises(ArtifactError, match=rf"{name} holds no model: it has no manifest\.json"):
            load_model(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\x00\xff"])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(
        ArtifactError, match=r"manifest\.json is damaged: .*Save the model again, or fetch a fresh copy"
    ):
        load_model(folder)


def test_a_folder_of_something_else(folder: Path) -> None:
    sign_again(folder, kind="history_store")
    with pytest.raises(ArtifactError, match=r"holds no model: its manifest\.json is of kind 'history_store'"):
        load_model(folder)


def test_a_newer_format(folder: Path) -> None:
    sign_again(folder, format=2)
    with pytest.raises(ArtifactError, match=r"has format 2; this recattn reads up to 1\. Upgrade recattn"):
        load_model(folder)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_missing(folder: Path, part: str) -> None:
    (folder / part).unlink()
    with pytest.raises(ArtifactError, match=rf"lacks its part {re.escape(part)}\. Save the model again"):
        load_model(folder)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b + b"\0"]
)
def test_a_part_that_was_changed(folder: Path, part: str, damage: Callable[[bytes], bytes]) -> None:
    (folder / part).write_bytes(damage((folder / part).read_bytes()))
    with pytest.raises(
        ArtifactError, match=rf"the part {re.escape(part)} of the model .* is damaged: its sha256 differs"
    ):
        load_model(folder)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_signed_but_no_part_of_a_model(folder: Path, part: str) -> None:
    (folder / part).write_bytes(b"{}")
    sign_again(folder)
    with pytest.raises(ArtifactError, match=r"the model in .* cannot be read: .*Save the model again"):
        load_model(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", ".."])
def test_a_part_outside_the_folder_is_not_opened(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("x")
    parts = json.loads((folder / "manifest.json").read_text())["parts"]
    sign_again(folder, parts=parts | {name: hashlib.sha256(b"x").hexdigest()})
    with pytest.raises(ArtifactError, match=rf"names a part outside the folder, '{name}'|lacks its part \.\."):
        load_model(folder)


@pytest.mark.parametrize("parts", [None, {}, [], {"config.json": "0"}])
def test_a_manifest_without_the_parts_of_a_model(folder: Path, parts: Any) -> None:
    sign_again(folder, parts=parts)
    with pytest.raises(
        ArtifactError, match=r"manifest\.json is damaged: it does not name config\.json, items\.parquet"
    ):
        load_model(folder)


def test_a_part_the_manifest_does_not_name_is_not_read(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["parts"]["behaviours.parquet"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ArtifactError, match=r"cannot be read: RuntimeError: .*Unexpected key.*history\.behaviour\.weight"
    ):
        load_model(folder)


def test_a_setting_of_a_later_version_is_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"]["num_hats"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    sign_again(folder)
    with pytest.raises(
        ArtifactError, match=r"cannot be read: ModelConfig has no key 'num_hats'\. Did you mean 'num_heads'"
    ):
        load_model(folder)


def test_weights_of_another_size_are_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"]["dim"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    sign_again(folder)
    with pytest.raises(ArtifactError, match=r"cannot be read: RuntimeError: .*size mismatch"):
        load_model(folder)
