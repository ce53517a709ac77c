"""What is on its way to a run, in a form that a file can hold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from recattn.tracking import artifacts, stale

_PARAMS_OR_TAGS_A_CALL = 100
_METRICS_A_CALL = 800  # of MLflow's 1,000 entries a call

Entry = TypeVar("Entry")


class Note(NamedTuple):
    """One thing to send. Sent twice, it leaves what sending it once does.

    `body` by kind. batch: `params` and `tags` {name: text}, `metrics` [[name, value, milliseconds, step, model id]].
    files: `path`, and `folder` holds that path. inputs: `dataset` (of `Dataset`), `tags`. end: `status`,
    `milliseconds`.
    """

    kind: Literal["batch", "files", "inputs", "end"]
    body: dict[str, Any]
    folder: Path | None = None

    def __str__(self) -> str:
        if self.kind == "batch":
            counts = ((len(self.body.get(name, ())), name) for name in ("params", "metrics", "tags"))
            return ", ".join(f"{count} {name}" for count, name in counts if count)
        names = {"files": "path", "inputs": "dataset", "end": "status"}
        about = self.body[names[self.kind]]
        return f"{self.kind} {about['name'] if self.kind == 'inputs' else about}"


def joined(notes: Sequence[Note]) -> Note:
    """Several batches as one; of a tag the last value counts."""
    if len(notes) == 1:
        return notes[0]
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[list[Any]] = []
    for note in notes:
        params |= note.body.get("params", {})
        tags |= note.body.get("tags", {})
        metrics += note.body.get("metrics", [])
    return Note("batch", {"params": params, "tags": tags, "metrics": metrics})


def send(client: MlflowClient, run_id: str, note: Note) -> None:
    """Write `note` to the run; raises what MLflow raises."""
    body = note.body
    if note.kind == "batch":
        params = [Param(name, text) for name, text in body.get("params", {}).items()]
        tags = [RunTag(name, text) for name, text in body.get("tags", {}).items()]
        points = [Metric(*point[:4], model_id=point[4]) for point in body.get("metrics", [])]
        calls = itertools.zip_longest(
            _parts(params, _PARAMS_OR_TAGS_A_CALL),
            _parts(tags, _PARAMS_OR_TAGS_A_CALL),
            _parts(points, _METRICS_A_CALL),
            fillvalue=(),
        )
        for some_params, some_tags, some_points in calls:
            client.log_batch(run_id, metrics=some_points, params=some_params, tags=some_tags)
    elif note.kind == "files":
        assert note.folder is not None
        artifacts.upload(client, run_id, note.folder, body["path"])
    elif note.kind == "inputs":
        about = [InputTag(name, text) for name, text in body["tags"].items()]
        client.log_inputs(run_id, [DatasetInput(Dataset(**body["dataset"]), about)])
    else:
        client.set_terminated(run_id, body["status"], end_time=body["milliseconds"])
        for tag in {stale.HEARTBEAT, stale.CLOSED_AS} & set(client.get_run(run_id).data.tags):
            client.delete_tag(run_id, tag)


def to_line(note: Note) -> str:
    """The note as a line of JSON; the folder of files by its name."""
    folder = None if note.folder is None else note.folder.name
    return json.dumps({"kind": note.kind, "body": note.body, "folder": folder})


def from_line(line: str, place: Path) -> Note:
    """What `to_line` made, with its folder in `place`."""
    found = json.loads(line)
    folder = None if found["folder"] is None else place / Path(found["folder"]).name
    return Note(found["kind"], found["body"], folder)


def _parts(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))
