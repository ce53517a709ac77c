"""What MLflow is told of the rows a model takes and gives."""

from __future__ import annotations

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property

from recattn.config import Time
from recattn.schema import columns
from recattn.tracking import pyfunc, request_rows


def signature(time: Time) -> ModelSignature:
    """One row a request. All columns but `history_items` may be missing, any list may be null.

    MLflow has no nulls in a column of whole numbers: `as_of` is there for every row, or is left out.

    Several outputs on purpose: `spark_udf` makes a struct of them, and cannot return a single ragged list. The lists of
    `explanation` are empty unless the parameter `explain` asks for it: a signature cannot depend on a parameter.
    """

    def many(kind: DataType, column: str) -> ColSpec:
        return ColSpec(Array(kind), name=column, required=False)

    moved = [Property(columns.ITEM, DataType.string), Property("change", DataType.double)]
    if time == "timestamp":
        moved.append(Property(columns.TIME, DataType.long))
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
                ColSpec(Array(Array(Object(moved))), name=pyfunc.EXPLANATION),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("k", DataType.long, pyfunc.DEFAULTS["k"]),
                ParamSpec("exclude_seen", DataType.boolean, pyfunc.DEFAULTS["exclude_seen"]),
                ParamSpec("explain", DataType.long, pyfunc.DEFAULTS["explain"]),
            ]
        ),
    )
