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
from mlflow import MlflowClient

from recattn.errors import DataError

_TABLE_TAG = "mlflow.loggedArtifacts"


def write(client: MlflowClient, run_id: str, path: str, value: object) -> None:
    """Keep `value` under the relative `path` of the run, in place of what was there.

    A DataFrame becomes a table of MLflow's UI (`.json`), CSV or Parquet by the suffix; a dict or list JSON
    (YAML for `.yaml`); text, a matplotlib figure, a file or a folder (`pathlib.Path`) stay what they are.
    Raises DataError for a path that leaves the run, or a kind of value or table suffix that has no form.
    """
    place = PurePosixPath(path)
    if not path or place.is_absolute() or ".." in place.parts:
        raise DataError(f"artifact path {path!r} must be relative and stay inside the run, like 'tables/x.json'.")
    if isinstance(value, pd.DataFrame):
        _frame(client, run_id, place, value)
    elif isinstance(value, str):
        client.log_text(run_id, value, path)
    elif isinstance(value, Path):
        _file(client, run_id, place, value)
    elif isinstance(value, (Mapping, list, tuple)):
        plain = json.loads(json.dumps(value, default=_plain))
        if place.suffix in (".yaml", ".yml"):
            client.log_dict(run_id, plain, path)
        else:
            client.log_text(run_id, json.dumps(plain, indent=2), path)
    elif hasattr(value, "savefig"):
        client.log_figure(run_id, value, path)
    else:
        raise DataError(f"artifact {path!r} is a {type(value).__name__}; give a DataFrame, dict, str, figure or Path.")


def _frame(client: MlflowClient, run_id: str, place: PurePosixPath, frame: pd.DataFrame) -> None:
    if place.suffix == ".json":
        if str(place) in client.get_run(run_id).data.tags.get(_TABLE_TAG, ""):
            # log_table would append to the table that a run before a resume has left.
            client.log_text(run_id, frame.to_json(orient="split", index=False, date_format="iso"), str(place))
        else:
            client.log_table(run_id, frame, str(place))
    elif place.suffix == ".csv":
        client.log_text(run_id, frame.to_csv(index=False), str(place))
    elif place.suffix == ".parquet":
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / place.name
            frame.to_parquet(local, index=False)
            client.log_artifact(run_id, str(local), _parent(place))
    else:
        raise DataError(f"artifact {str(place)!r} is a table; end its path in .json, .csv or .parquet.")


def _file(client: MlflowClient, run_id: str, place: PurePosixPath, source: Path) -> None:
    if source.is_dir():
        client.log_artifacts(run_id, str(source), str(place))
    elif not source.is_file():
        raise DataError(f"artifact {str(place)!r}: there is no file {str(source)!r}.")
    elif source.name == place.name:
        client.log_artifact(run_id, str(source), _parent(place))
    else:
        with tempfile.TemporaryDirectory() as folder:
            local = shutil.copy(source, Path(folder) / place.name)
            client.log_artifact(run_id, str(local), _parent(place))


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
