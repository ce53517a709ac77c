"""The thread that sends to a run, in order, whatever happens to the server meanwhile."""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import DatasetInput

from recattn.tracking import artifacts, names, notes, privacy
from recattn.tracking.notes import Note

TRIES = 3  # of what the server refuses though it answers
LONGEST_PAUSE = 30.0

log = logging.getLogger(__name__)


class Writer:
    """Takes notes for one run and gives at once; a thread sends them, many in one call.

    While the MLflow is away all of it waits, in order, and is tried again; what the MLflow refuses although it is there
    is set aside after three tries, and the rest goes on. `undelivered` is what is left.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self.away: str | None = None  # why the MLflow cannot be reached
        self._spool: Path | None = None
        self._numbers = itertools.count()
        self._waiting: deque[Note] = deque()
        self._aside: list[Note] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self._stopped = False

    def params(self, values: Mapping[str, str]) -> None:
        """Parameters under names that MLflow takes."""
        self._add(Note("batch", {"params": dict(values)}))

    def tags(self, values: Mapping[str, object]) -> None:
        """Tags; the last value of a tag counts."""
        texts = {names.metric_name(name): names.value_text(value) for name, value in values.items()}
        self._add(Note("batch", {"tags": texts}))

    def metrics(self, values: Mapping[str, float], step: int) -> list[list[Any]]:
        """Finite numbers of one step, under names that MLflow takes; the points as written."""
        now = int(time.time() * 1000)
        points: list[list[Any]] = [[name, value, now, step, None] for name, value in values.items()]
        self._add(Note("batch", {"metrics": points}))
        return points

    def tie(self, points: list[list[Any]], model_id: str) -> None:
        """Make points of the run those of one of its models, too."""
        self._add(Note("batch", {"metrics": [[*point[:4], model_id] for point in points]}))

    def artifact(self, path: str, value: object) -> None:
        """A file, in a form of `artifacts.render`; raises where there is none."""
        if self._spool is None or not self._spool.exists():
            self._spool = Path(tempfile.mkdtemp(prefix="recattn-tracking-"))
        folder = self._spool / f"{next(self._numbers):05d}"
        folder.mkdir()
        artifacts.render(folder, path, value)
        self._add(Note("files", {"path": path}, folder))

    def inputs(self, dataset: DatasetInput) -> None:
        """A data set the run used."""
        self._add(Note("inputs", dataset.to_dictionary()))

    def curve(self, name: str) -> dict[int, float]:
        """What the run already has of a metric: {step: value}."""
        return {point.step: point.value for point in self.client.get_metric_history(self.run_id, name)}

    def flush(self, wait: float | None = None) -> bool:
        """Wait until all is sent or set aside, `wait` seconds at most; whether it is."""
        self._hurry.set()
        try:
            with self._changed:
                return self._changed.wait_for(lambda: not self._waiting, wait)
        finally:
            self._hurry.clear()

    def stop(self) -> None:
        """The thread ends; what it has not sent is in `undelivered`. Later notes are sent by the caller itself."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._hurry.set()
        if self._thread is not None:
            self._thread.join(timeout=1)  # a call that hangs is left to itself: sent twice is sent once

    def undelivered(self) -> list[Note]:
        """What was refused, then what waits, each in order."""
        with self._changed:
            return [*self._aside, *self._waiting]

    def clean(self) -> None:
        """Remove the files that waited to be sent."""
        if self._spool is not None:
            shutil.rmtree(self._spool, ignore_errors=True)

    def _add(self, note: Note) -> None:
        if note.kind == "batch" and not any(note.body.values()):
            return
        if self._stopped:
            notes.send(self.client, self.run_id, note)
            return
        with self._changed:
            self._waiting.append(note)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="recattn-tracking", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _work(self) -> None:
        tries, singly = 0, False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                if self._stopped:
                    return
                head = self._head(singly)
            try:
                notes.send(self.client, self.run_id, notes.joined(head))
            except Exception as error:  # databases, servers and stores raise kinds of their own
                tries += 1
                if not self._answers():
                    self._is_away(error)
                elif len(head) > 1:
                    tries, singly = 0, True  # to find the one at fault
                    continue
                elif tries >= (1 if self._aside and head[0].kind == "files" else TRIES):
                    self._set_aside(head[0], error)
                    tries, singly = 0, False
                    continue
                self._pause(tries)
            else:
                tries, singly = 0, False
                self._sent(head)

    def _head(self, singly: bool) -> list[Note]:
        batches = list(itertools.takewhile(lambda note: note.kind == "batch", self._waiting))
        return batches if batches and not singly else [self._waiting[0]]

    def _sent(self, head: list[Note]) -> None:
        if self.away is not None:
            log.warning("MLflow is back: run %s goes on there.", self.run_id)
            self.away = None
        self._drop(len(head))

    def _drop(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                note = self._waiting.popleft()
                if note.folder is not None and note not in self._aside:
                    shutil.rmtree(note.folder, ignore_errors=True)
            self._changed.notify_all()

    def _answers(self) -> bool:
        try:
            self.client.get_run(self.run_id)
        except Exception:
            return False
        return True

    def _is_away(self, error: Exception) -> None:
        if self.away is None and not self._stopped:
            self.away = privacy.scrubbed(str(error), 200)
            log.warning("MLflow cannot be reached; what run %s logs is kept and sent later: %s", self.run_id, self.away)

    def _set_aside(self, note: Note, error: Exception) -> None:
        level = logging.INFO if any(one.kind == note.kind for one in self._aside) else logging.WARNING
        log.log(level, "MLflow did not take %s of run %s: %s", note, self.run_id, privacy.scrubbed(str(error), 300))
        self._aside.append(note)
        self._drop(1)

    def _pause(self, tries: int) -> None:
        seconds = min(0.5 * 2 ** (tries - 1), LONGEST_PAUSE)
        if self._hurry.is_set():
            time.sleep(min(seconds, 0.5))
        else:
            self._hurry.wait(seconds)
