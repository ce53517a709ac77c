"""The flavor `recattn` of MLflow: how a Recommender is saved, logged and loaded as a model of MLflow."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature

from recattn.errors import ArtifactError
from recattn.tracking import golden, privacy, request_rows
from recattn.tracking.pyfunc import PyFunc
from recattn.tracking.quiet import quiet
from recattn.tracking.signature import signature as signature_of

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

    from recattn.recommender import Recommender

FLAVOR_NAME = "recattn"
LOADER = "recattn.tracking.flavor"
LOADERS = (LOADER, "recattn.tracking.pyfunc")  # the second of models logged before there was the flavor
_DATA = "recommender"
_PINNED = ("torch", "numpy", "pandas", "pyarrow", "safetensors")
_HEADLINES = ("test/", "valid/ndcg_at_10")
_EXAMPLE_START = 1_700_000_000


def get_default_pip_requirements() -> list[str]:
    """Pins of this process's versions, without local parts such as `+cpu`, which no index has."""
    import recattn

    pins = [f"recattn=={_public(recattn.__version__)}", f"mlflow=={_public(mlflow.__version__)}"]
    return pins + [f"{package}=={_public(importlib.metadata.version(package))}" for package in _PINNED]


def get_default_conda_env() -> dict[str, Any]:
    """The conda environment of a model that is saved without one of its own."""
    pip = {"pip": get_default_pip_requirements()}
    dependencies = [f"python={platform.python_version()}", "pip", pip]
    return {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": dependencies}


def save_model(
    recommender: Recommender,
    path: str | Path,
    conda_env: dict[str, Any] | str | None = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | None = None,
    input_example: Any = None,
    pip_requirements: list[str] | str | None = None,
    extra_pip_requirements: list[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    data_digest: str | None = None,
) -> None:
    """Save a fitted Recommender as a folder of MLflow with the flavors `recattn` and `python_function`.

    Its part `data/recommender` is what `Recommender.save` writes (no pickle), with the golden batch.

    Args:
        recommender: The model.
        path: A folder that is not there yet.
        conda_env: Instead of `get_default_conda_env`.
        code_paths: Files of code to keep with the model.
        mlflow_model: The entry of MLflow this flavor is added to.
        signature: Instead of `recattn.tracking.signature.signature`.
        input_example: Instead of two made-up requests.
        pip_requirements: Instead of `get_default_pip_requirements`.
        extra_pip_requirements: Beside `get_default_pip_requirements`.
        metadata: Beside catalog size and digest of the vocabulary.
        metrics: Headline metrics, kept in the metadata.
        data_digest: Of the training data, kept in the metadata.

    Warns:
        UserWarning: The model knows attributes of users or requests, or weights, for which a row has no place.
    """
    import recattn

    _tell_of_more_than_rows(recommender)
    if conda_env is None and pip_requirements is None:  # MLflow would find them out by loading the model
        pip_requirements = [*get_default_pip_requirements(), *(extra_pip_requirements or [])]
    entry = mlflow_model if mlflow_model is not None else Model()
    about = {**_about(recommender, metrics, data_digest), **(entry.metadata or {}), **(metadata or {})}
    entry.add_flavor(
        FLAVOR_NAME,
        recattn_version=recattn.__version__,
        data=f"data/{_DATA}",
        golden=golden.FILE,
        score=recommender.config.score,
        time=recommender.config.time,
    )
    with tempfile.TemporaryDirectory() as folder, quiet("mlflow.pyfunc"):
        data = Path(folder) / _DATA
        recommender.save(data)
        golden.save(PyFunc(recommender), data)
        mlflow.pyfunc.save_model(
            path=str(path),
            loader_module=LOADER,
            data_path=str(data),
            mlflow_model=entry,
            conda_env=conda_env,
            code_paths=code_paths,
            signature=signature or signature_of(recommender.config.time),
            input_example=example(recommender) if input_example is None else input_example,
            pip_requirements=pip_requirements,
            metadata=about,
        )


def log_model(
    recommender: Recommender,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    step: int = 0,
    metrics: Mapping[str, float] | None = None,
    data_digest: str | None = None,
    **more: Any,
) -> ModelInfo:
    """Log a fitted Recommender to the active run; one is started where there is none.

    Args:
        recommender: The model.
        name: What MLflow lists it as.
        registered_model_name: Also make it a version of this registered model.
        step: The step of the run's metrics the model stands for.
        metrics: Headline metrics; by default those of the active run: `test/...` and `valid/ndcg_at_10`.
        data_digest: Of the training data; by default that of the active run's dataset for training.
        more: What else `save_model` and `mlflow.models.Model.log` take.
    """
    run_metrics, run_digest = _of_active_run()
    return Model.log(
        artifact_path=None,
        flavor=sys.modules[__name__],
        name=name,
        registered_model_name=registered_model_name,
        step=step,
        recommender=recommender,
        metrics=run_metrics if metrics is None else metrics,
        data_digest=run_digest if data_digest is None else data_digest,
        **more,
    )


def load_model(model_uri: str, dst_path: str | None = None) -> Recommender:
    """The Recommender at a URI of MLflow (`models:/name@alias`, `runs:/id/model`) or in a local folder.

    Its golden batch is scored again. `dst_path` is an existing folder to download to.

    Raises:
        ArtifactError: No such model, one of another kind, a damaged one, or one with other scores than when saved.
    """
    try:
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=str(model_uri), dst_path=dst_path))
        flavors = Model.load(str(local)).flavors
    except (MlflowException, OSError) as error:
        reason = privacy.scrubbed(str(error).strip())
        raise ArtifactError(f"{model_uri} cannot be fetched from MLflow: {reason}") from error
    loaded_by = flavors.get("python_function", {}).get("loader_module")
    if loaded_by not in LOADERS:
        raise ArtifactError(f"{model_uri} is no recattn model: MLflow loads it by {loaded_by!r}.")
    return _open(local / flavors["python_function"]["data"], with_golden=FLAVOR_NAME in flavors).model


def _load_pyfunc(path: str) -> PyFunc:
    """Called by MLflow with the folder `data/recommender` of a model."""
    return _open(Path(path), with_golden=True)


def _open(folder: Path, *, with_golden: bool) -> PyFunc:
    from recattn.recommender import Recommender

    scorer = PyFunc(Recommender.load(folder))
    if with_golden:
        golden.check(scorer, folder)
    return scorer


def example(model: Recommender) -> pd.DataFrame:
    """Two made-up requests out of catalog ids and round times: nobody's history."""
    ids = [str(item) for item in model.items.vocabulary.ids[:6]]
    histories = [ids[:3], ids[1:2]]
    frame = pd.DataFrame({request_rows.ITEMS: pd.Series(histories, dtype=object)})
    if model.config.time == "timestamp":
        times = [[_EXAMPLE_START + 3600 * place for place in range(len(items))] for items in histories]
        frame[request_rows.TIMES] = pd.Series(times, dtype=object)
        frame[request_rows.AS_OF] = [row[-1] + 3600 if row else _EXAMPLE_START for row in times]
    frame[request_rows.CANDIDATES] = pd.Series([ids[-3:], ids[-2:]], dtype=object)
    return frame


def metadata(model: Recommender) -> dict[str, Any]:
    """What the model was made on, by digest."""
    return {"catalog_size": len(model.items.vocabulary), "vocabulary_sha256": model.items.vocabulary.digest}


def _about(model: Recommender, metrics: Mapping[str, float] | None, data_digest: str | None) -> dict[str, Any]:
    about = metadata(model)
    if data_digest is not None:
        about["training_data_digest"] = data_digest
    if metrics:
        about["metrics"] = {name: float(value) for name, value in metrics.items()}
    return about


def _of_active_run() -> tuple[dict[str, float], str | None]:
    """Headline metrics and the digest of the training data, as the active run has them."""
    active = mlflow.active_run()
    if active is None:
        return {}, None
    run = mlflow.MlflowClient().get_run(active.info.run_id)
    metrics = {name: value for name, value in run.data.metrics.items() if name.startswith(_HEADLINES)}
    inputs = [] if run.inputs is None else run.inputs.dataset_inputs
    used = [one.dataset.digest for one in inputs if any(tag.value == "training" for tag in one.tags)]
    return metrics, ",".join(used) or None


def _tell_of_more_than_rows(model: Recommender) -> None:
    if model.user_features or model.context_features or model.config.use_weights:
        warnings.warn(
            "Rows of the MLflow model carry no user features, context features or weights: they count as missing "
            "there. Where they matter, load it with recattn.tracking.flavor.load_model and call score.",
            stacklevel=3,
        )


def _public(version: str) -> str:
    return version.split("+")[0]
