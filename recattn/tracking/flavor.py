"""How a Recommender becomes a model of MLflow."""

from __future__ import annotations

import importlib.metadata
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array

from recattn.schema import columns
from recattn.tracking import pyfunc, request_rows
from recattn.tracking.quiet import quiet

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

    from recattn.recommender import Recommender

LOADER = "recattn.tracking.pyfunc"
_PINNED = ("torch", "numpy", "pandas", "pyarrow", "safetensors")
_EXAMPLE_START = 1_700_000_000


def log_model(model: Recommender, name: str, *, registered_model_name: str | None = None, step: int = 0) -> ModelInfo:
    """Log a fitted Recommender to the active run as a pyfunc model whose rows are requests.

    The files are those of `Recommender.save` (no pickle). `step` is the step of the run's metrics the model
    stands for.

    Warns:
        UserWarning: The model knows attributes of users or requests, or weights, for which a row has no place.
    """
    if model.user_features or model.context_features or model.config.use_weights:
        warnings.warn(
            "Rows of the MLflow model carry no user features, context features or weights: they count as missing "
            "there. Where they matter, load the model's folder with Recommender.load and call score.",
            stacklevel=3,
        )
    with tempfile.TemporaryDirectory() as folder, quiet("mlflow.pyfunc"):
        data = Path(folder) / "recommender"
        model.save(data)
        # mlflow.pyfunc.log_model is this call, without `step` on older versions.
        return Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            name=name,
            step=step,
            registered_model_name=registered_model_name,
            loader_module=LOADER,
            data_path=str(data),
            signature=signature(),
            input_example=input_example(model),
            pip_requirements=requirements(),
            metadata=metadata(model),
        )


def signature() -> ModelSignature:
    """One row a request. All columns but `history_items` may be missing, any list may be null.

    MLflow has no nulls in a column of whole numbers: `as_of` is there for every row, or is left out.

    Two outputs on purpose: `spark_udf` makes a struct of them, and cannot return a single ragged list.
    """

    def many(kind: DataType, column: str) -> ColSpec:
        return ColSpec(Array(kind), name=column, required=False)

    return ModelSignature(
        inputs=Schema(
            [
                many(DataType.string, request_rows.ITEMS),
                many(DataType.long, request_rows.TIMES),
                many(DataType.string, request_rows.EVENTS),
                ColSpec(DataType.long, name=request_rows.AS_OF, required=False),
                many(DataType.string, request_rows.CANDIDATES),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(DataType.string), name=columns.ITEM),
                ColSpec(Array(DataType.double), name=columns.SCORE),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("k", DataType.long, pyfunc.DEFAULTS["k"]),
                ParamSpec("exclude_seen", DataType.boolean, pyfunc.DEFAULTS["exclude_seen"]),
            ]
        ),
    )


def input_example(model: Recommender) -> pd.DataFrame:
    """Two made-up requests out of catalog ids and round times: nobody's history."""
    ids = [str(item) for item in model.items.vocabulary.ids[:6]]
    histories = [ids[:3], ids[1:2]]
    example = pd.DataFrame({request_rows.ITEMS: pd.Series(histories, dtype=object)})
    if model.config.time == "timestamp":
        times = [[_EXAMPLE_START + 3600 * place for place in range(len(items))] for items in histories]
        example[request_rows.TIMES] = pd.Series(times, dtype=object)
        example[request_rows.AS_OF] = [row[-1] + 3600 if row else _EXAMPLE_START for row in times]
    example[request_rows.CANDIDATES] = pd.Series([ids[-3:], ids[-2:]], dtype=object)
    return example


def requirements() -> list[str]:
    """Pins of this process's versions, without local parts such as `+cpu`, which no index has."""
    import recattn

    pins = [f"recattn=={_public(recattn.__version__)}", f"mlflow=={_public(mlflow.__version__)}"]
    return pins + [f"{package}=={_public(importlib.metadata.version(package))}" for package in _PINNED]


def metadata(model: Recommender) -> dict[str, Any]:
    """What the model was made on, by digest."""
    return {"catalog_size": len(model.items.vocabulary), "vocabulary_sha256": model.items.vocabulary.digest}


def _public(version: str) -> str:
    return version.split("+")[0]
