"""A logged model back as a Recommender."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recattn.tracking import flavor, uri

if TYPE_CHECKING:
    from recattn.recommender import Recommender


_BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


def load_logged_model(model_uri: str, *, tracking_uri: str | None = None) -> Recommender:
    """The Recommender at `models:/name@alias`, `models:/name/3`, `models:/m-...` or `runs:/id/model`.

    The MLflow is chosen as by `track`; nothing of the download stays.

    Raises:
        ArtifactError: What `flavor.load_model` refuses.
    """
    with uri.using(uri.choose(tracking_uri)), tempfile.TemporaryDirectory() as folder, _no_bars():
        return flavor.load_model(model_uri, dst_path=folder)


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
