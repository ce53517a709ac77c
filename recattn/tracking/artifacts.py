"""Values written as files of a run."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import yaml
from mlflow import MlflowClient

from recattn.errors import DataError

_TABLE_TAG = "mlflow.loggedArtifacts"


def write(client: MlflowClient, run_id: str, path: str, value: object) -> None:
    """Keep `value` under the relative `path` of the run, in place of what was there; forms: `render`."""
    with tempfile.TemporaryDirectory() as folder:
        render(Path(folder), path, value)
        upload(client, run_id, Path(folder), path)


def render(folder: Path, path: str, value: object) -> None:
    """Write `value` as the file `path` of `folder`.

    A DataFrame becomes a table of MLflow's UI (`.json`), CSV or Parquet by the suffix; a dict or list JSON
    (YAML for `.yaml`); text, a matplotlib figure, a file or a folder (`pathlib.Path`) stay what they are.
    Raises DataError for a path that leaves the run, or a kind of value or table suffix that has no form.
    """
    place = PurePosixPath(path)
    if not path or place.is_absolute() or ".." in place.parts:
        raise DataError(f"artifact path {path!r} must be relative and stay inside the run, like 'tables/x.json'.")
    file = folder / place
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, pd.DataFrame):
        _frame(file, path, value)
    elif isinstance(value, str):
        file.write_text(value)
    elif isinstance(value, Path):
        if not value.exists():
            raise DataError(f"artifact {path!r}: there is no file {str(value)!r}.")
        shutil.copytree(value, file) if value.is_dir() else shutil.copy(value, file)
    elif isinstance(value, (Mapping, list, tuple)):
        plain = json.loads(json.dumps(value, default=_plain))
        as_yaml = place.suffix in (".yaml", ".yml")
        file.write_text(yaml.safe_dump(plain, sort_keys=False) if as_yaml else json.dumps(plain, indent=2))
    elif hasattr(value, "savefig"):
        value.savefig(file)
    else:
        raise DataError(f"artifact {path!r} is a {type(value).__name__}; give a DataFrame, dict, str, figure or Path.")


def upload(client: MlflowClient, run_id: str, folder: Path, path: str) -> None:
    """Send what `render` wrote to `folder`; again, if need be, without doubling anything.

    MLflow's `log_table` appends to a table that is there: it makes the empty table known, the rows come as a file.
    """
    file = folder / path
    if file.is_dir():
        client.log_artifacts(run_id, str(file), path)
        return
    columns = _columns_of(file)
    if columns is not None and path not in client.get_run(run_id).data.tags.get(_TABLE_TAG, ""):
        client.log_table(run_id, pd.DataFrame(columns=columns), path)
    client.log_artifact(run_id, str(file), _parent(PurePosixPath(path)))


def _columns_of(file: Path) -> list[str] | None:
    """The columns of a table of MLflow's, or None for another JSON file."""
    found = json.loads(file.read_text()) if file.suffix == ".json" else None
    return found["columns"] if isinstance(found, dict) and found.keys() == {"columns", "data"} else None


def _frame(file: Path, path: str, frame: pd.DataFrame) -> None:
    if file.suffix == ".json":
        frame.to_json(file, orient="split", index=False, date_format="iso")
    elif file.suffix == ".csv":
        frame.to_csv(file, index=False)
    elif file.suffix == ".parquet":
        frame.to_parquet(file, index=False)
    else:
        raise DataError(f"artifact {path!r} is a table; end its path in .json, .csv or .parquet.")


def _parent(place: PurePosixPath) -> str | None:
    return str(place.parent) if place.parent != PurePosixPath(".") else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else str(value)
