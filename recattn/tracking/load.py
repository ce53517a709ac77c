"""A logged model back as a Recommender."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from recattn.errors import ArtifactError
from recattn.tracking import privacy, uri
from recattn.tracking.flavor import LOADER

if TYPE_CHECKING:
    from recattn.recommender import Recommender


_BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


def load_logged_model(model_uri: str, *, tracking_uri: str | None = None) -> Recommender:
    """The Recommender at `models:/name@alias`, `models:/name/3`, `models:/m-...` or `runs:/id/model`.

    The MLflow is chosen as by `track`. Raises ArtifactError where there is no such model, or one of another kind.
    """
    from recattn.recommender import Recommender

    with uri.using(uri.choose(tracking_uri)), tempfile.TemporaryDirectory() as folder:
        try:
            with _no_bars():
                local = Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=folder))
            flavor = Model.load(str(local)).flavors.get("python_function", {})
        except (MlflowException, OSError) as error:
            reason = privacy.scrubbed(str(error).strip())
            raise ArtifactError(f"{model_uri} cannot be fetched from MLflow: {reason}") from error
        if flavor.get("loader_module") != LOADER:
            raise ArtifactError(f"{model_uri} is no recattn model: MLflow loads it by {flavor.get('loader_module')!r}.")
        return Recommender.load(local / flavor["data"])


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """MLflow draws a progress bar for a few small files otherwise, into logs too."""
    before = os.environ.get(_BARS)
    os.environ[_BARS] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_BARS]
        else:
            os.environ[_BARS] = before
