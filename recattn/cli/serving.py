"""What score, recommend, explain have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from recattn.cli.console import log
from recattn.cli.data import Log, describe, read_log, read_table
from recattn.cli.models import open_model
from recattn.cli.settings import Columns
from recattn.dataset import HistoryStore
from recattn.errors import ConfigError
from recattn.schema import check_same_kind, read_slate
from recattn.schema.columns import ITEM
from recattn.schema.times import Unit

if TYPE_CHECKING:
    from recattn.recommender import Recommender


def open_all(
    model: str, history: str, columns: Columns, unit: Unit, *, tracking_uri: str | None, device: str | None = None
) -> tuple[Recommender, Log]:
    """The model, with the histories to answer from."""
    check_device(device)
    recommender = open_model(model, tracking_uri)
    log.info("model: %s items, score %s", f"{len(recommender.items) - 1:,}", recommender.config.score)
    found = read_log(history, columns, unit=unit, time=recommender.config.time)
    describe(found, "history")
    items = found.item_vocabulary.ids if isinstance(found, HistoryStore) else found[ITEM]
    _check_items(pd.Series(items), "history", recommender)
    return recommender, found


def open_slate(path: str, model: Recommender, columns: Columns, unit: Unit) -> pd.DataFrame:
    """The candidates, under our names."""
    slate = read_slate(read_table(path, "slate", columns), unit=unit, time=model.config.time)
    _check_items(slate[ITEM], "slate", model)
    return slate


def _check_items(items: pd.Series, what: str, model: Recommender) -> None:
    """DataError where item ids are of another kind than the model's (numbers, not text): none would be known."""
    check_same_kind(items, what, pd.Series(model.items.vocabulary.ids), "the model", ITEM)


def check_device(device: str | None) -> None:
    """ConfigError for a device torch does not know or this machine does not have."""
    if device is None:
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"device {device!r} cannot be used: {reason}. Leave it out, or use cpu.") from error
