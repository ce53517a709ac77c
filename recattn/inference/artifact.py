"""A fitted model as a folder: safetensors and JSON, nothing that runs code when read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from recattn.config import ModelConfig, TrainConfig, from_dict, to_dict
from recattn.dataset.features import FittedFeatures
from recattn.dataset.profile import Profile
from recattn.dataset.store_files import write_folder
from recattn.dataset.tables import ItemTable
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ArtifactError, RecattnError
from recattn.inference.calibration import Calibration
from recattn.inference.model import Blueprint, FittedModel

FORMAT = 1
KIND = "recommender"
MANIFEST = "manifest.json"
CONFIG, WEIGHTS, TABLES = "config.json", "weights.safetensors", "tables.safetensors"
ITEMS, BEHAVIOURS, PROFILE = "items.parquet", "behaviours.parquet", "profile.json"
NEEDED = (CONFIG, ITEMS, TABLES, WEIGHTS)
AGAIN = "Save the model again, or fetch a fresh copy."


def save_model(model: FittedModel, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a model folder; it appears under its name only when it is whole.

    Parts: `manifest.json` (format, sha256 of every part), `config.json`, `weights.safetensors`, `items.parquet`
    (the item vocabulary), `tables.safetensors` (attributes by item code), `behaviours.parquet` where there are any,
    `profile.json` (what it was trained on looked like).

    Raises:
        ArtifactError: The folder exists and `overwrite` is false, or it cannot be written.
    """
    plan = model.blueprint

    def write(folder: Path) -> None:
        arrays, values = plan.table.to_arrays()
        config = {
            "model": to_dict(plan.config),
            "train": to_dict(plan.train),
            "items": values,
            "users": plan.users.to_dict(),
            "context": plan.context.to_dict(),
            "time_scale": plan.time_scale,
            "calibration": None if model.calibration is None else dataclasses.asdict(model.calibration),
        }
        (folder / CONFIG).write_text(json.dumps(config, indent=1))
        weights = {name: tensor.contiguous().cpu() for name, tensor in model.scorer.state_dict().items()}
        tables = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        try:
            save_tensors(weights, folder / WEIGHTS)
            save_arrays(tables, folder / TABLES)
        except SafetensorError as error:  # what it makes of a full disk
            raise OSError(str(error)) from error
        for name in (WEIGHTS, TABLES):  # safetensors writes for the owner's eyes only
            (folder / name).chmod((folder / CONFIG).stat().st_mode)
        plan.table.vocabulary.save(folder / ITEMS)
        if plan.behaviours is not None:
            plan.behaviours.save(folder / BEHAVIOURS)
        if model.profile is not None:
            (folder / PROFILE).write_text(json.dumps(model.profile.to_dict(), indent=1))
        parts = {part.name: _sha256(part) for part in sorted(folder.iterdir())}
        manifest = {"kind": KIND, "format": FORMAT, "parts": parts}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))

    write_folder(Path(path), write, overwrite=overwrite, what="model")


def load_model(path: str | Path) -> FittedModel:
    """Read what `save_model` wrote, after checking every part against its sha256.

    Raises:
        ArtifactError: No model there, a newer format, a missing, changed or truncated part.
    """
    folder = Path(path)
    parts = _check(folder)
    try:
        config = json.loads((folder / CONFIG).read_text())
        table = ItemTable.from_arrays(Vocabulary.load(folder / ITEMS), load_arrays(folder / TABLES), config["items"])
        plan = Blueprint(
            config=from_dict(ModelConfig, config["model"]),
            train=from_dict(TrainConfig, config["train"]),
            table=table,
            behaviours=Vocabulary.load(folder / BEHAVIOURS) if BEHAVIOURS in parts else None,
            users=FittedFeatures.from_dict(config["users"]),
            context=FittedFeatures.from_dict(config["context"]),
            time_scale=config["time_scale"],
        )
        saved = config.get("calibration")
        calibration = None if saved is None else Calibration(**saved)
        profile = Profile.from_dict(json.loads((folder / PROFILE).read_text())) if PROFILE in parts else None
        scorer = plan.build()
        scorer.load_state_dict(load_tensors(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = str(error) if isinstance(error, RecattnError) else f"{type(error).__name__}: {error}"
        reason = shorten(reason, 300).rstrip(".")
        raise ArtifactError(f"the model in {folder} cannot be read: {reason}. {AGAIN}") from error
    return FittedModel(plan, scorer.eval(), calibration, profile)


def _check(folder: Path) -> dict[str, str]:
    """The parts the manifest names, with their sha256, all found as they were written."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text())
        if not isinstance(manifest, dict):
            raise ValueError(f"it holds a {type(manifest).__name__}")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{folder} holds no model: it has no {MANIFEST}.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder / MANIFEST} is damaged: {error}. {AGAIN}") from error
    kind, version, parts = (manifest.get(name) for name in ("kind", "format", "parts"))
    if kind != KIND or not isinstance(version, int):
        raise ArtifactError(f"{folder} holds no model: its {MANIFEST} is of kind {kind!r}.")
    if version > FORMAT:
        raise ArtifactError(
            f"the model in {folder} has format {version}; this recattn reads up to {FORMAT}. Upgrade recattn."
        )
    if not isinstance(parts, dict) or not set(NEEDED) <= set(parts):
        raise ArtifactError(f"{folder / MANIFEST} is damaged: it does not name {', '.join(NEEDED)}. {AGAIN}")
    for name, digest in parts.items():
        part = folder / name
        if Path(name).name != name:
            raise ArtifactError(f"{folder / MANIFEST} is damaged: it names a part outside the folder, {name!r}.")
        if not part.is_file():
            raise ArtifactError(f"the model in {folder} lacks its part {name}. {AGAIN}")
        if _sha256(part) != digest:
            raise ArtifactError(f"the part {name} of the model in {folder} is damaged: its sha256 differs. {AGAIN}")
    return parts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
