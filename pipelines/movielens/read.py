"""Reading a MovieLens folder, whichever of its file forms lies there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from recattn.config import Time
from recattn.errors import DataError, listed
from recattn.schema import read_interactions, read_items, read_users

GENRES = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|"
    "Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)  # the flags of u.item, in their order
NO_GENRE = ("unknown", "(no genres listed)")
RATING = ["user_id", "item_id", "rating", "timestamp"]
FIRST_RATING = 788_918_400  # 1995-01-01; smaller timestamps are a running index


@dataclasses.dataclass(frozen=True)
class MovieLens:
    """What a folder holds, in canonical frames."""

    form: str  # the name of the file the interactions came from
    time: Time  # "order" where the timestamps are a running index
    interactions: pd.DataFrame  # user_id, item_id, timestamp, weight (the rating)
    items: pd.DataFrame | None  # item_id, title, genres (A|B), year
    users: pd.DataFrame | None  # user_id, and of age, gender, occupation what there is


def read_movielens(folder: str | Path) -> MovieLens:
    """Read the first form found: `u.data`, `ratings.dat`, `ratings.csv` or `interactions.parquet`.

    Files of items and users may be missing. Genres nobody listed and unreadable years are missing values; the
    year is the `year` column, else the one that ends the title, else that of the release date.

    Raises:
        DataError: No such folder, none of the files in it, or a file that is not what its name says.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder {str(folder)!r}. Give the one that holds the MovieLens files.")
    for name, read in FORMS.items():
        if (folder / name).exists():
            log, items, users = read(folder)
            break
    else:
        raise DataError(
            f"{str(folder)!r} holds no MovieLens interactions: looked for {', '.join(FORMS)}; "
            f"it has {listed(sorted(path.name for path in folder.iterdir())) or 'no files'}. "
            f"Unpack the archive, then give the folder that holds one of these files."
        )
    latest = pd.to_numeric(log["timestamp"], errors="coerce").max()
    time: Time = "order" if latest < FIRST_RATING else "timestamp"
    wanted = [column for column in [*RATING, "weight"] if column in log]
    return MovieLens(
        name,
        time,
        read_interactions(log[wanted], time=time),
        None if items is None else read_items(_tidy_items(items)),
        None if users is None else read_users(_tidy_users(users)),
    )


Frames = tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None]


def _read_100k(folder: Path) -> Frames:
    log = _table(folder / "u.data", "\t", RATING)
    items = None
    if (folder / "u.item").exists():
        flags = GENRES.split("|")
        raw = _table(folder / "u.item", "|", ["item_id", "title", "date", "video", "url", *flags])
        items = raw[["item_id", "title", "date"]].assign(genres=_join_flags(raw[flags]))
    users = None
    if (folder / "u.user").exists():
        users = _table(folder / "u.user", "|", ["user_id", "age", "gender", "occupation", "zip"])
    return log, items, users


def _read_dat(folder: Path) -> Frames:
    log = _table(folder / "ratings.dat", ":", RATING, every_other=True)
    items = _split_lines(folder / "movies.dat", ["item_id", "title", "genres"])
    users = _split_lines(folder / "users.dat", ["user_id", "gender", "age", "occupation", "zip"])
    return log, items, users


def _read_csv(folder: Path) -> Frames:
    ours = {"userId": "user_id", "movieId": "item_id"}
    log = pd.read_csv(folder / "ratings.csv").rename(columns=ours)
    _has(log, RATING, folder / "ratings.csv", {"user_id": "userId", "item_id": "movieId"})
    movies = folder / "movies.csv"
    return log, pd.read_csv(movies).rename(columns=ours) if movies.exists() else None, None


def _read_parquet(folder: Path) -> Frames:
    log, items, users = (
        pd.read_parquet(path) if path.exists() else None
        for path in (folder / f"{name}.parquet" for name in ("interactions", "items", "users"))
    )
    assert log is not None
    _has(log, ["user_id", "item_id", "timestamp"], folder / "interactions.parquet", {})
    return log, items, users


FORMS: dict[str, Callable[[Path], Frames]] = {
    "u.data": _read_100k,
    "ratings.dat": _read_dat,
    "ratings.csv": _read_csv,
    "interactions.parquet": _read_parquet,
}


def _table(path: Path, separator: str, names: list[str], *, every_other: bool = False) -> pd.DataFrame:
    """A file without a header. `every_other`: the separator stands twice, and each second field is empty."""
    try:
        return pd.read_csv(
            path,
            sep=separator,
            header=None,
            names=None if every_other else names,
            usecols=range(0, 2 * len(names), 2) if every_other else range(len(names)),
            index_col=False,
            encoding=_encoding(path),
            quoting=3,
        ).set_axis(names, axis=1)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{str(path)!r} is not the MovieLens file its name says: {error}.") from error


def _encoding(path: Path) -> str:
    """UTF-8 where the file is, else latin-1, which the old releases use."""
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _split_lines(path: Path, names: list[str]) -> pd.DataFrame | None:
    """A file of fields between `::`, which may hold single colons; None where there is no such file."""
    if not path.exists():
        return None
    lines = path.read_text(encoding=_encoding(path)).splitlines()
    fields = [line.split("::") for line in lines if line]
    for row in fields:
        if len(row) != len(names):
            raise DataError(f"{str(path)!r}: expected {len(names)} fields between '::' a line, got {'::'.join(row)!r}.")
    frame = pd.DataFrame(fields, columns=names)
    try:
        return frame.assign(**{names[0]: pd.to_numeric(frame[names[0]])})
    except ValueError as error:
        raise DataError(f"{str(path)!r} is not the MovieLens file its name says: {error}.") from error


def _join_flags(flags: pd.DataFrame) -> list[str]:
    names = np.array(flags.columns, dtype=object)
    return ["|".join(names[row]) for row in flags.to_numpy() == 1]


def _tidy_items(raw: pd.DataFrame) -> pd.DataFrame:
    """item_id, title, genres, year, as far as the frame tells them."""
    items = raw[["item_id"]].copy()
    year = pd.Series(np.nan, index=raw.index)
    if "year" in raw:
        year = year.fillna(pd.to_numeric(raw["year"], errors="coerce").astype(float))
    if "title" in raw:
        items["title"] = raw["title"]
        year = year.fillna(raw["title"].str.extract(r"\((\d{4})\)\s*$")[0].astype(float))
    if "date" in raw:
        year = year.fillna(raw["date"].str.extract(r"(\d{4})$")[0].astype(float))
    if "genres" in raw:
        listed_ = raw["genres"].where(~raw["genres"].isin(NO_GENRE))
        items["genres"] = listed_.where(listed_ != "")
    return items.assign(year=year)


def _tidy_users(raw: pd.DataFrame) -> pd.DataFrame:
    """user_id, age (a number), gender, occupation (text), as far as the frame tells them."""
    ours = raw.rename(columns={"age_code": "age", "occupation_code": "occupation"})
    users = ours[[column for column in ("user_id", "age", "gender", "occupation") if column in ours]].copy()
    if "age" in users:
        users["age"] = pd.to_numeric(users["age"], errors="coerce").astype(float)
    if "occupation" in users:
        users["occupation"] = users["occupation"].astype(str)
    return users


def _has(frame: pd.DataFrame, wanted: list[str], path: Path, theirs: dict[str, str]) -> None:
    for column in wanted:
        if column not in frame:
            raise DataError(
                f"{str(path)!r} has no column {theirs.get(column, column)!r}; it has {listed(frame.columns)}."
            )
