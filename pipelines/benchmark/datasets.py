"""The data sets: which columns of which folder are read, and how."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipelines.movielens.read import FIRST_RATING, read_movielens
from recattn.config import Categorical, FeatureSpec, Multi, Numeric, Time
from recattn.errors import DataError, listed
from recattn.schema import columns as c
from recattn.schema import read_interactions, read_items, read_users

LOG = [c.USER, c.ITEM, c.TIME, c.EVENT, c.WEIGHT, "rating"]


@dataclass(frozen=True)
class Source:
    """What the models with features may use of a data set; folders without an entry have none."""

    item_features: tuple[FeatureSpec, ...] = ()
    user_features: tuple[FeatureSpec, ...] = ()
    movielens: bool = False  # read by the recipe of MovieLens, which tidies genres and years


MOVIES = (Multi("genres"), Numeric("year"))
PEOPLE = (Numeric("age"), Categorical("gender"), Categorical("occupation"))
SOURCES = {
    "ml-100k": Source(MOVIES, PEOPLE, movielens=True),
    "ml-1m": Source(MOVIES, PEOPLE, movielens=True),
    "amazon-beauty": Source((Categorical("brand"), Multi("categories"), Numeric("price", log=True))),
    "deskdrop": Source(),
    "globo": Source(),
}


@dataclass(frozen=True, eq=False)
class Data:
    """One data set in canonical frames."""

    name: str
    log: pd.DataFrame
    items: pd.DataFrame | None
    users: pd.DataFrame | None
    time: Time  # "order" where the timestamps are a running index
    source: Source
    digest: str  # sha256 of the frames


def load(name: str, root: str | Path) -> Data:
    """The data set in the folder `name` of `root`.

    Raises:
        DataError: No such folder, no `interactions.parquet` in it, or frames that break a rule of their door.
    """
    folder = Path(root) / name
    source = SOURCES.get(name, Source())
    if not (folder / "interactions.parquet").exists():
        here = sorted(path.name for path in Path(root).glob("*/"))
        raise DataError(
            f"there is no {str(folder / 'interactions.parquet')!r}; {str(root)!r} has {listed(here, 8) or 'nothing'}. "
            "Give data_root the folder that holds one folder a data set."
        )
    if source.movielens:
        found = read_movielens(folder)
        log, items, users, time = found.interactions, found.items, found.users, found.time
    else:
        log, time = _read_log(folder / "interactions.parquet")
        items = _read_attributes(folder / "items.parquet", c.ITEM, source.item_features)
        users = _read_attributes(folder / "users.parquet", c.USER, source.user_features)
    return Data(name, log, items, users, time, source, _digest(log, items, users))


def _read_log(path: Path) -> tuple[pd.DataFrame, Time]:
    frame = pd.read_parquet(path)
    time: Time = "order" if frame[c.TIME].max() < FIRST_RATING else "timestamp"
    return read_interactions(frame[[name for name in LOG if name in frame]], time=time), time


def _read_attributes(path: Path, key: str, specs: tuple[FeatureSpec, ...]) -> pd.DataFrame | None:
    if not specs or not path.exists():
        return None
    frame = pd.read_parquet(path, columns=[key, *(spec.column for spec in specs)])
    return (read_items if key == c.ITEM else read_users)(frame)


def _digest(*frames: pd.DataFrame | None) -> str:
    state = hashlib.sha256()
    for frame in frames:
        if frame is not None:
            state.update(",".join(frame.columns).encode())
            state.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return state.hexdigest()
