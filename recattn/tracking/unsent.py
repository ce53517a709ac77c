"""What a run could not send, kept on disk until it can."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient

from recattn.errors import ArtifactError, ConfigError
from recattn.tracking import notes, privacy
from recattn.tracking.notes import Note

FOLDER = "recattn-unsent"
_ABOUT, _NOTES = "run.json", "notes.jsonl"

log = logging.getLogger(__name__)


def keep(unsent: Sequence[Note], run_id: str, tracking_uri: str) -> Path:
    """Write notes to `recattn-unsent/RUN` of the working directory, behind those that are there; the folder.

    Passwords of the URI are left out.
    """
    place = Path(FOLDER) / run_id
    place.mkdir(parents=True, exist_ok=True)
    about = {"run_id": run_id, "tracking_uri": privacy.scrubbed(tracking_uri)}
    (place / _ABOUT).write_text(json.dumps(about, indent=1))
    with (place / _NOTES).open("a") as lines:
        for note in unsent:
            if note.folder is not None:
                number = sum(1 for one in place.iterdir() if one.is_dir())
                note = note._replace(folder=Path(shutil.move(note.folder, place / f"{number:05d}")))
            lines.write(notes.to_line(note) + "\n")
    return place


def send(folder: str | Path, tracking_uri: str | None = None) -> str:
    """Send what `keep` wrote, and remove the folder; the id of the run.

    Args:
        folder: `recattn-unsent/RUN`.
        tracking_uri: The MLflow of the run; the one it was for by default.

    Raises:
        ArtifactError: There is nothing of ours in the folder.
        ConfigError: MLflow did not take it; the folder is as it was.
    """
    place = Path(folder)
    try:
        about = json.loads((place / _ABOUT).read_text())
        run_id, where = str(about["run_id"]), str(tracking_uri or about["tracking_uri"])
        found = [notes.from_line(line, place) for line in (place / _NOTES).read_text().splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{place} holds no unsent notes of a run ({error}). Name {FOLDER}/RUN.") from error
    client = MlflowClient(where)
    for note in found:
        try:
            notes.send(client, run_id, note)
        except Exception as error:
            raise ConfigError(
                f"MLflow at {privacy.scrubbed(where)} did not take {note} of run {run_id}: "
                f"{privacy.scrubbed(str(error))}. {place} is as it was; send it again later."
            ) from error
    shutil.rmtree(place)
    log.info("sent %d notes of run %s", len(found), run_id)
    return run_id
