"""A model folder on its way to the Python processes of Spark's executors."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recattn.errors import ArtifactError
from recattn.inference.artifact import MANIFEST, load_model
from recattn.inference.model import FittedModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PACKED: dict[str, tempfile.TemporaryDirectory[str]] = {}  # executors fetch files as long as the driver lives
_LOADED: dict[str, FittedModel] = {}


@dataclass(frozen=True)
class ShippedModel:
    """A model that every executor can fetch."""

    file: str  # its name among the files of the Spark application
    digest: str  # sha256 of its manifest, which has that of every part

    def load(self, threads: int) -> FittedModel:
        """The model in this process, read once, with torch on `threads` threads."""
        import torch

        torch.set_num_threads(threads)
        if self.digest not in _LOADED:
            _LOADED.clear()
            _LOADED[self.digest] = self._read()
        return _LOADED[self.digest]

    def _read(self) -> FittedModel:
        from pyspark import SparkFiles

        with tempfile.TemporaryDirectory(prefix="recattn-") as folder:
            with zipfile.ZipFile(SparkFiles.get(self.file)) as packed:
                packed.extractall(folder)
            if _digest(Path(folder)) != self.digest:
                raise ArtifactError(f"{self.file} on this executor is another model than the driver sent.")
            return load_model(folder)


def ship(spark: SparkSession, path: str | Path) -> ShippedModel:
    """Add the model folder `path`, which need only be on the driver, to the files of the application."""
    folder = Path(path)
    digest = _digest(folder)
    name = f"recattn-model-{digest[:16]}.zip"
    if digest not in _PACKED:
        _PACKED[digest] = tempfile.TemporaryDirectory(prefix="recattn-")
        with zipfile.ZipFile(Path(_PACKED[digest].name) / name, "w") as packed:
            for part in sorted(folder.iterdir()):
                if part.is_file():  # the date is that of the format's beginning: equal models make equal files
                    packed.writestr(zipfile.ZipInfo(part.name), part.read_bytes())
    spark.sparkContext.addFile(str(Path(_PACKED[digest].name) / name))
    return ShippedModel(name, digest)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
