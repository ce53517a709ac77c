"""The data of a run as MLflow lists it: a digest of our own, so that a million rows cost no seconds."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag

from recattn.schema import columns
from recattn.tracking import privacy

_CONTEXT_TAG = "mlflow.data.context"


def frame_digest(frame: pd.DataFrame) -> str:
    """16 hex digits that change with any value, column name, or order of rows; the index does not count."""
    total = hashlib.sha256(json.dumps([str(name) for name in frame.columns]).encode())
    for position in range(frame.shape[1]):
        values = frame.iloc[:, position]
        try:
            hashes = pd.util.hash_pandas_object(values, index=False)
        except TypeError:  # lists and other unhashable values
            hashes = pd.util.hash_pandas_object(values.map(repr), index=False)
        total.update(hashes.to_numpy().tobytes())
    return total.hexdigest()[:16]


def dataset_input(name: str, frame: pd.DataFrame, context: str, source: str | None = None) -> DatasetInput:
    """The frame as an input of a run: name, digest, columns and counts, but no values.

    MLflow's own `from_pandas` profiles and copies; that takes seconds a million rows.
    """
    profile = {"num_rows": len(frame), "num_elements": int(frame.size)}
    for column, key in ((columns.USER, "num_users"), (columns.ITEM, "num_items")):
        if column in frame:
            profile[key] = int(frame[column].nunique())
    if columns.TIME in frame and pd.api.types.is_integer_dtype(frame[columns.TIME]) and len(frame):
        profile["first_timestamp"] = int(frame[columns.TIME].min())
        profile["last_timestamp"] = int(frame[columns.TIME].max())
    schema = [{"type": _type(frame.iloc[:, i]), "name": str(c)} for i, c in enumerate(frame.columns)]
    dataset = Dataset(
        name=name,
        digest=frame_digest(frame),
        source_type="code" if source is None else "local",
        source=json.dumps({"tags": {}} if source is None else {"uri": privacy.scrubbed(source)}),
        schema=json.dumps({"mlflow_colspec": [{**column, "required": True} for column in schema]}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset=dataset, tags=[InputTag(_CONTEXT_TAG, context)])


def _type(values: pd.Series) -> str:
    kinds = pd.api.types
    if kinds.is_bool_dtype(values):
        return "boolean"
    if kinds.is_integer_dtype(values):
        return "long"
    if kinds.is_float_dtype(values):
        return "double"
    return "datetime" if kinds.is_datetime64_any_dtype(values) else "string"
