"""The log of a training command, cut into its parts."""

from __future__ import annotations

from recattn.cli.console import log
from recattn.cli.data import Log, describe, read_log, read_log_frame
from recattn.cli.settings import Columns, SplitSettings
from recattn.config import ModelConfig
from recattn.dataset import CleanConfig, Split
from recattn.dataset import clean as clean_log
from recattn.schema.times import Unit


def hold_out(
    path: str, columns: Columns, unit: Unit, settings: SplitSettings, clean: CleanConfig, model: ModelConfig
) -> tuple[Split | None, Log]:
    """The split, if any, with what to fit on."""
    found: Log
    if settings.kind == "none" and clean == CleanConfig():
        found = read_log(path, columns, unit=unit, time=model.time)
        describe(found, "interactions")
        return None, found
    found = read_log_frame(path, columns, unit=unit, time=model.time)
    describe(found, "interactions")
    split = None if settings.kind == "none" else settings.cut(found, time=model.time, ties=model.ties)
    if split is not None:
        log.info("%r", split)
        found = split.train
    if clean != CleanConfig():
        found, counts = clean_log(found, clean)
        log.info("cleaned train: %s", ", ".join(f"{name} took {n:,} rows" for name, n in counts.items() if n) or "-")
    return split, found
