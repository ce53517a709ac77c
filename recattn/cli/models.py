"""The model a command uses: a folder, or one in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recattn.recommender import Recommender

IN_MLFLOW = ("models:/", "runs:/")


def open_model(where: str, tracking_uri: str | None = None) -> Recommender:
    """The model in the folder `where`, or at `models:/name@alias`, `models:/name/3`, `runs:/id/model`.

    Raises:
        ArtifactError: No model there, or a damaged one.
        ConfigError: MLflow cannot be reached.
    """
    from recattn.recommender import Recommender

    if where.startswith(IN_MLFLOW):
        from recattn.tracking.load import load_logged_model

        return load_logged_model(where, tracking_uri=tracking_uri)
    return Recommender.load(where)
