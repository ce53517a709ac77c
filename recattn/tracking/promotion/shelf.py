"""A registered model: its versions, its aliases, what was decided about it."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import random
import time
from collections.abc import Iterator

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from recattn.errors import ArtifactError, ConfigError, listed
from recattn.tracking import privacy, uri
from recattn.tracking.promotion import records
from recattn.tracking.promotion.records import Record
from recattn.tracking.quiet import quiet

CHAMPION, CHALLENGER = "champion", "challenger"
_TRIES = 5


class Shelf:
    """One registered model, read and written through a client.

    Attributes:
        name: Of the registered model.
        exists: Whether it is there.
        aliases: alias -> version, at the last `look`.
        records: All decisions about it, oldest first, at the last `look`.
    """

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client = client
        self.name = name
        self.look()

    def look(self) -> None:
        """Read the aliases and the records, in one call."""
        try:
            model: RegisteredModel | None = self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise ConfigError(f"{self.name!r} cannot be the name of a registered model.") from error
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            model = None
        self.exists = model is not None
        self.aliases = {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}
        self.records = [] if model is None else records.read(model.tags)

    @property
    def champion(self) -> str | None:
        """The version that has the alias."""
        return self.aliases.get(CHAMPION)

    def version_of(self, run_id: str) -> ModelVersion | None:
        """The newest version that this run has logged."""
        found = self.client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'")
        return max(found, key=lambda one: int(one.version), default=None)

    def has(self, version: str) -> bool:
        """Whether the version is there."""
        try:
            self.client.get_model_version(self.name, version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return False
            raise
        return True

    def register(self, model_id: str) -> str:
        """A new version of a logged model."""
        with uri.using(self.client.tracking_uri), contextlib.redirect_stderr(io.StringIO()), quiet("mlflow"):
            made = mlflow.register_model(f"models:/{model_id}", self.name)
        return str(made.version)

    def write(self, record: Record) -> None:
        """Keep a record in place of what it was before."""
        self.client.set_registered_model_tag(self.name, record.key, record.to_text())

    def settle(self) -> None:
        """End the records whose process is gone: as done where the champion is theirs, else as abandoned."""
        for record in self.records:
            if record.state == "open" and not record.under_way():
                self.write(record.done() if self.champion == record.version else record.ended("abandoned"))
        self.look()

    def claim(self, record: Record) -> None:
        """Write an open record, and go on only if nobody else has one.

        The record is taken back where another is under way, or the champion or the records are not those of the last
        `look` any more. Raises ArtifactError then: nothing was moved.
        """
        champion, known = self.champion, {one.id for one in self.records}
        for attempt in range(_TRIES):
            self.write(record)
            self.look()
            others = [one for one in self.records if one.id != record.id]
            rivals = [one for one in others if one.under_way()]
            if not rivals and self.champion == champion and {one.id for one in others} <= known:
                return
            self.client.delete_registered_model_tag(self.name, record.key)
            if not rivals:
                break
            time.sleep(random.uniform(0.1, 0.4) * 2**attempt)
        if rivals:
            raise ArtifactError(
                f"another decision about model {self.name!r} is under way ({rivals[0].where}). Nothing was moved. Run "
                f"this again when it is done; if it died, in {records.CLAIM_SECONDS // 60} minutes."
            )
        raise ArtifactError(
            f"model {self.name!r} has changed while the evidence was read: champion was {_said(champion)}, is "
            f"{_said(self.champion)} now. Nothing was moved. Run this again."
        )

    def move(self, record: Record) -> None:
        """Give the champion alias to the record's version, look again, and close the record.

        Where another decision or hand has come between, theirs stands: the alias goes back to it and the record ends
        as `lost`. Raises ArtifactError then.
        """
        known = {one.id for one in self.records}
        self.client.set_registered_model_alias(self.name, CHAMPION, record.version)
        self.look()
        rivals = [
            one
            for one in self.records
            if one.id not in known | {record.id} and one.state in ("promoted", "rolled_back")
        ]
        if self.champion == record.version and not rivals:
            self.write(record.done())
            if self.aliases.get(CHALLENGER) == record.version:
                self.client.delete_registered_model_alias(self.name, CHALLENGER)
            return
        if self.champion == record.version:
            self.client.set_registered_model_alias(self.name, CHAMPION, rivals[-1].version)
            self.look()
        self.write(record.ended("lost"))
        raise ArtifactError(
            f"another decision about model {self.name!r} was quicker{f' ({rivals[-1].where})' if rivals else ''}: "
            f"{_said(self.champion)} is the champion, not version {record.version}. Look at it, and run this again."
        )

    @contextlib.contextmanager
    def given_up_on_error(self, record: Record) -> Iterator[None]:
        """A record that is still open when the block raises ends as abandoned."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self.look()
                if any(one.id == record.id and one.state == "open" for one in self.records):
                    self.write(record.ended("abandoned"))
            raise


def model_of(client: MlflowClient, run_id: str, experiment_id: str) -> str:
    """The id of the model that a run has logged. Raises ArtifactError where there is none, or are several."""
    found = client.search_logged_models([experiment_id], filter_string=f"source_run_id = '{run_id}'")
    usable = [one for one in found if str(one.status) == "READY"]
    if not usable:
        raise ArtifactError(
            f"run {run_id} has no logged model to register: call run.log_model(model) inside `with track(...)`, or "
            "train with tracking."
        )
    named = {one.name for one in usable}
    if len(named) > 1:
        raise ArtifactError(
            f"run {run_id} has logged several models ({listed(sorted(named))}): register the one meant in MLflow, and "
            "run this again."
        )
    return str(max(usable, key=lambda one: one.creation_timestamp).model_id)


@contextlib.contextmanager
def permitted(name: str) -> Iterator[None]:
    """What the registry refuses to write, said as such."""
    try:
        yield
    except MlflowException as error:
        text = privacy.scrubbed(str(error).strip())
        denied = error.error_code == "PERMISSION_DENIED" or "403" in text or "readonly" in text
        why = f"{user()} may not write there" if denied else "it refuses"
        raise ArtifactError(f"the registry of model {name!r}: {why}: {text}") from error


def user() -> str:
    """The user as MLflow has it: of the server where one logs in there, else of the system."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def _said(version: str | None) -> str:
    return "none" if version is None else f"version {version}"
