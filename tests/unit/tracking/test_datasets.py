"""Digests of frames."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from recattn.tracking.datasets import dataset_input, frame_digest

FRAME = pd.DataFrame({"user_id": ["a", "b"], "n": [1, 2], "tags": [["x"], ["y", "z"]]})


def test_an_equal_frame_has_an_equal_digest() -> None:
    assert frame_digest(FRAME) == frame_digest(FRAME.set_index([[7, 8]]))
    assert len(frame_digest(FRAME)) == 16


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(n=[1, 3]),
        FRAME.iloc[::-1],
        FRAME.rename(columns={"n": "m"}),
        FRAME.assign(tags=[["x"], ["y"]]),
        FRAME.head(1),
    ],
    ids=["value", "order", "name", "list", "rows"],
)
def test_any_change_changes_the_digest(other: pd.DataFrame) -> None:
    assert frame_digest(other) != frame_digest(FRAME)


def test_columns_are_described_and_no_value_is() -> None:
    frame = FRAME.assign(
        f=[0.5, 1.5], b=[True, False], c=pd.Categorical(["p", "q"]), t=pd.to_datetime(["2024-01-01"] * 2)
    )
    dataset = dataset_input("train", frame, "training").dataset
    kinds = {column["name"]: column["type"] for column in json.loads(dataset.schema)["mlflow_colspec"]}
    assert kinds == {
        "user_id": "string",
        "n": "long",
        "tags": "string",
        "f": "double",
        "b": "boolean",
        "c": "string",
        "t": "datetime",
    }


def test_an_empty_frame_is_a_dataset_too() -> None:
    frame = pd.DataFrame({"user_id": [], "timestamp": pd.Series([], dtype="int64")})
    profile = json.loads(dataset_input("none", frame, "test").dataset.profile)
    assert profile == {"num_rows": 0, "num_elements": 0, "num_users": 0}
