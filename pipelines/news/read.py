"""Reading a folder of article logs: clicks with their behaviour, session, device."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd

from recattn.errors import DataError, listed
from recattn.schema import read_interactions, read_items
from recattn.schema.columns import AVAILABLE_FROM, EVENT, ITEM, TIME, USER, WEIGHT
from recattn.schema.times import Unit

FORMS = [f"interactions.{ending}" for ending in ("parquet", "csv", "csv.gz", "tsv", "tsv.gz")]
CONTEXT = ("device", "device_group", "os", "environment", "platform", "referrer", "referrer_type", "country", "region")
SESSION = "session_id"


@dataclasses.dataclass(frozen=True)
class News:
    """What a folder holds, in canonical frames."""

    form: str  # the name of the file of interactions
    interactions: pd.DataFrame  # user_id, item_id, timestamp, event_type where given, context columns
    items: pd.DataFrame | None

    @property
    def context(self) -> list[str]:
        """The columns that describe a click beside user, article, moment and behaviour."""
        return [name for name in self.interactions if name not in (USER, ITEM, TIME, EVENT, WEIGHT)]


def read_news(folder: str | Path, *, unit: Unit = "s") -> News:
    """Read `interactions.*` and, where there is one, `items.parquet`; numbers of time count `unit`s.

    Of the other columns those known as context are kept. From the time comes `hour` (of the day, UTC), from sessions
    `session_place`: how many clicks of the session came before this one. Both are known when the click is made.

    Raises:
        DataError: No such folder, no interactions in it, or what `read_interactions` refuses.
    """
    folder = Path(folder)
    path = next((folder / name for name in FORMS if (folder / name).exists()), None)
    if path is None:
        has = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
        raise DataError(
            f"{str(folder)!r} holds no interactions: looked for {', '.join(FORMS)}; it has {listed(has) or 'no files'}."
        )
    log = read_interactions(path, unit=unit)
    log = log.assign(hour=log[TIME] // 3600 % 24)
    if SESSION in log:
        log["session_place"] = log.sort_values(TIME, kind="stable").groupby([USER, SESSION]).cumcount()
    kept = [USER, ITEM, TIME, EVENT, WEIGHT, *CONTEXT, "hour", "session_place"]
    items = folder / "items.parquet"
    return News(path.name, log[[name for name in kept if name in log]], read_items(items) if items.exists() else None)


def first_seen(log: pd.DataFrame) -> pd.DataFrame:
    """The articles of a log, each available from the second after its first click, with `published`: days of the log.

    So whoever clicks first finds it by other ways: that click is a miss, which is the honest count.
    """
    first = log.groupby(ITEM, sort=False)[TIME].min()
    published = (first - log[TIME].min()) / 86_400
    return pd.DataFrame({AVAILABLE_FROM: first + 1, "published": published}).reset_index()
