"""Values as files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from recattn.errors import DataError
from recattn.tracking import artifacts


@pytest.fixture
def run_id(client: MlflowClient, tmp_path: Path) -> str:
    mlflow.set_tracking_uri(client.tracking_uri)
    place = (tmp_path / "kept").as_uri()
    experiment = client.create_experiment(tmp_path.name, artifact_location=place)
    return client.create_run(experiment).info.run_id


def kept(run_id: str, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{path}"))


FRAME = pd.DataFrame({"item": ["a", "b"], "score": [0.5, 0.25]})


def test_a_frame_is_a_table_csv_or_parquet_by_its_suffix(client: MlflowClient, run_id: str) -> None:
    for path in ("t/x.json", "t/x.csv", "t/x.parquet"):
        artifacts.write(client, run_id, path, FRAME)
    experiment = client.get_run(run_id).info.experiment_id
    pd.testing.assert_frame_equal(client.load_table(experiment, "t/x.json", [run_id]), FRAME)
    pd.testing.assert_frame_equal(pd.read_csv(kept(run_id, "t/x.csv")), FRAME)
    pd.testing.assert_frame_equal(pd.read_parquet(kept(run_id, "t/x.parquet")), FRAME)


def test_a_table_written_again_replaces_the_first(client: MlflowClient, run_id: str) -> None:
    artifacts.write(client, run_id, "x.json", FRAME)
    artifacts.write(client, run_id, "x.json", FRAME.head(1))
    assert len(client.load_table(client.get_run(run_id).info.experiment_id, "x.json", [run_id])) == 1


def test_a_dict_of_numpy_values_is_plain_json(client: MlflowClient, run_id: str) -> None:
    value: dict[str, Any] = {"a": np.float64(0.5), "b": np.arange(2), "c": {"z", "y"}, "d": Path("x")}
    artifacts.write(client, run_id, "c.json", value)
    assert json.loads(kept(run_id, "c.json").read_text()) == {"a": 0.5, "b": [0, 1], "c": ["y", "z"], "d": "x"}
    artifacts.write(client, run_id, "c.yaml", {"a": 1})
    assert kept(run_id, "c.yaml").read_text() == "a: 1\n"


def test_text_figures_files_and_folders_stay_what_they_are(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.txt").write_text("1")
    artifacts.write(client, run_id, "note.md", "# note")
    artifacts.write(client, run_id, "figures/f.png", Figure())
    artifacts.write(client, run_id, "one.txt", tmp_path / "in" / "one.txt")
    artifacts.write(client, run_id, "files/uno.txt", tmp_path / "in" / "one.txt")
    artifacts.write(client, run_id, "folder", tmp_path / "in")
    assert kept(run_id, "note.md").read_text() == "# note"
    assert kept(run_id, "figures/f.png").read_bytes().startswith(b"\x89PNG")
    for path in ("one.txt", "files/uno.txt", "folder/one.txt"):
        assert kept(run_id, path).read_text() == "1"


@pytest.mark.parametrize("path", ["", "/etc/x.json", "../x.json", "a/../../x.json"])
def test_a_path_that_leaves_the_run_is_refused(client: MlflowClient, path: str) -> None:
    with pytest.raises(DataError, match="must be relative and stay inside the run"):
        artifacts.write(client, "any", path, "text")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("t.xlsx", FRAME, r"'t.xlsx' is a table; end its path in \.json, \.csv or \.parquet"),
        ("t.json", object(), r"'t.json' is a object; give a DataFrame"),
        ("t.txt", Path("missing.txt"), r"there is no file 'missing.txt'"),
    ],
)
def test_what_has_no_form_is_refused(client: MlflowClient, path: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        artifacts.write(client, "any", path, value)
