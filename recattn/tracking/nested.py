"""Runs that belong to another, as MLflow's run table nests them."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlflow import MlflowClient

from recattn.tracking import uri
from recattn.tracking.run import Run
from recattn.tracking.session import track


@contextlib.contextmanager
def track_child(
    parent_id: str, run_name: str | None = None, *, tracking_uri: str | None = None, tags: Mapping[str, object]
) -> Iterator[Run]:
    """`track` a run of the parent's experiment, below it. No run may be active: `track` would join that."""
    where = uri.choose(tracking_uri)
    client = MlflowClient(where)
    experiment = client.get_experiment(client.get_run(parent_id).info.experiment_id).name
    with track(experiment, run_name, tracking_uri=where, parent=parent_id, tags=tags) as run:
        yield run


@contextlib.contextmanager
def track_again(
    state: Mapping[str, str] | None, experiment: str, run_name: str | None = None, *, tracking_uri: str | None = None
) -> Iterator[Run]:
    """`track`, in the run whose `Run.state()` this is; a new one without a state."""
    with tempfile.TemporaryDirectory() as folder:
        if state:
            (Path(folder) / "observers.json").write_text(json.dumps(dict(state)))
        with track(experiment, run_name, tracking_uri=tracking_uri, resume_from=folder) as run:
            yield run
