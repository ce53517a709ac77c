"""What every trial of a search has in common, as files for the workers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recattn import config
from recattn.config import FeatureSpec
from recattn.errors import DataError

FRAMES = ("train", "valid", "items", "users")
SPECS = ("item_features", "user_features", "context_features")


@dataclass(frozen=True, eq=False)
class Task:
    """The data of a search with the features to use; frames are canonical.

    `metric` is what an epoch is judged by, `run_id` the MLflow run that those of the trials belong to.
    """

    train: pd.DataFrame
    valid: pd.DataFrame
    items: pd.DataFrame | None
    users: pd.DataFrame | None
    item_features: Sequence[FeatureSpec]
    user_features: Sequence[FeatureSpec]
    context_features: Sequence[FeatureSpec]
    metric: str
    study: str
    run_id: str | None = None

    def specs(self) -> dict[str, list[dict[str, Any]]]:
        """The features as plain values."""
        return {
            name: [{"kind": type(spec).__name__, **dataclasses.asdict(spec)} for spec in getattr(self, name)]
            for name in SPECS
        }

    def write(self, folder: Path) -> None:
        """Files in `folder`, in place of those of an earlier task."""
        for name in FRAMES:
            frame, path = getattr(self, name), folder / f"{name}.parquet"
            path.unlink(missing_ok=True)
            if frame is None:
                continue
            try:
                frame.to_parquet(path, index=False)
            except (ValueError, TypeError) as error:  # pyarrow's errors
                raise DataError(f"{name} cannot be handed to the workers as Parquet: {error}") from error
        about = {"metric": self.metric, "study": self.study, "run_id": self.run_id, **self.specs()}
        (folder / "task.json").write_text(json.dumps(about))

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task in `folder`."""
        about = json.loads((folder / "task.json").read_text())
        for name in SPECS:
            about[name] = [getattr(config, spec.pop("kind"))(**spec) for spec in about[name]]
        for name in FRAMES:
            path = folder / f"{name}.parquet"
            about[name] = pd.read_parquet(path) if path.exists() else None
        return cls(**about)


def remove(folder: Path) -> None:
    """Take the data of a task away."""
    for name in FRAMES:
        (folder / f"{name}.parquet").unlink(missing_ok=True)
