"""The MovieLens recipe: four file forms, one canonical result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.movielens.read import MovieLens, read_movielens
from recattn.errors import DataError

LOG = [(1, 10, 5, 978_300_760), (1, 20, 3, 978_302_109), (2, 10, 4, 978_300_275), (2, 30, 1, 978_298_709)]


def flags(*places: int) -> str:
    """The 19 genre columns of u.item."""
    return "|".join("1" if place in places else "0" for place in range(19))


def write_100k(folder: Path) -> None:
    (folder / "u.data").write_text("".join("\t".join(map(str, row)) + "\n" for row in LOG))
    lines = [
        f"10|Les Misérables (1995)|01-Jan-1995||http://x/?a|{flags(8, 14)}",
        f"20|Until 'Friday' \"now\"|09-Feb-1996||http://x/?b|{flags(1)}",
        f"30|unknown||||{flags(0)}",
    ]
    (folder / "u.item").write_text("\n".join(lines) + "\n", encoding="latin-1")
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|T8H1N\n")


def write_dat(folder: Path) -> None:
    (folder / "ratings.dat").write_text("".join("::".join(map(str, row)) + "\n" for row in LOG))
    (folder / "movies.dat").write_text(
        "10::Les Misérables (1995)::Drama|Romance\n20::Twelve: The Film (1996)::Action\n30::No Year::Drama\n",
        encoding="latin-1",
    )
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")


def write_csv(folder: Path) -> None:
    rows = "".join(",".join(map(str, row)) + "\n" for row in LOG)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n10,"Misérables, Les (1995)",Drama|Romance\n'
        "20,Twelve (1996) ,Action\n30,No Year,(no genres listed)\n",
        encoding="utf-8",
    )


def write_parquet(folder: Path) -> None:
    log = pd.DataFrame(LOG, columns=["user_id", "item_id", "rating", "timestamp"])
    log.assign(pos=[0, 1, 1, 0]).to_parquet(folder / "interactions.parquet")
    pd.DataFrame(
        {
            "item_id": [10, 20, 30],
            "title": ["Les Misérables", "Twelve", "?"],
            "year": ["1995", "1996", None],
            "genres": ["Drama|Romance", "Action", ""],
        }
    ).to_parquet(folder / "items.parquet")
    pd.DataFrame(
        {"user_id": [1, 2], "gender": ["F", "M"], "age_code": [1, 56], "occupation_code": [10, 16]}
    ).to_parquet(folder / "users.parquet")


Write = Callable[[Path], None]
FORMS: dict[str, Write] = {
    "u.data": write_100k,
    "ratings.dat": write_dat,
    "ratings.csv": write_csv,
    "interactions.parquet": write_parquet,
}


@pytest.fixture(params=FORMS)
def found(request: pytest.FixtureRequest, tmp_path: Path) -> MovieLens:
    FORMS[request.param](tmp_path)
    result = read_movielens(tmp_path)
    assert result.form == request.param
    return result


def test_every_form_gives_the_same_canonical_interactions(found: MovieLens) -> None:
    log = found.interactions
    assert list(log) == ["user_id", "item_id", "timestamp", "weight"]
    assert log[["user_id", "item_id", "timestamp"]].to_numpy().tolist() == [[u, i, t] for u, i, _, t in LOG]
    assert log["weight"].tolist() == [5, 3, 4, 1]
    assert log["weight"].dtype == np.float32
    assert found.time == "timestamp"


def test_every_form_gives_title_genres_and_year_of_the_items(found: MovieLens) -> None:
    items = found.items
    assert items is not None
    assert list(items) == ["item_id", "title", "genres", "year"]
    assert items["item_id"].tolist() == [10, 20, 30]
    assert items["title"].str.contains("Misérables").tolist() == [True, False, False]
    assert items["genres"].tolist()[:2] == ["Drama|Romance", "Action"]
    assert items["year"].tolist()[:2] == [1995.0, 1996.0]
    assert np.isnan(items["year"].iloc[2])
    assert items["genres"].iloc[2] == "Drama" or pd.isna(items["genres"].iloc[2])


def test_user_attributes_come_without_the_zip_code(tmp_path: Path) -> None:
    write_100k(tmp_path)
    users = read_movielens(tmp_path).users
    assert users is not None
    assert users.to_dict("list") == {
        "user_id": [1, 2],
        "age": [24.0, 53.0],
        "gender": ["M", "F"],
        "occupation": ["technician", "other"],
    }


@pytest.mark.parametrize("write", [write_dat, write_parquet])
def test_coded_ages_are_numbers_and_coded_occupations_are_text(write: Write, tmp_path: Path) -> None:
    write(tmp_path)
    users = read_movielens(tmp_path).users
    assert users is not None
    assert users["age"].tolist() == [1.0, 56.0]
    assert users["gender"].tolist() == ["F", "M"]
    assert users["occupation"].tolist() == ["10", "16"]


def test_a_title_with_colons_and_quotes_stays_whole(tmp_path: Path) -> None:
    for name, write, title in (
        ("dat", write_dat, "Twelve: The Film (1996)"),
        ("100k", write_100k, "Until 'Friday' \"now\""),
    ):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
        items = read_movielens(tmp_path / name).items
        assert items is not None
        assert items["title"].iloc[1] == title


@pytest.mark.parametrize("write", FORMS.values())
def test_files_of_items_and_users_may_be_missing(write: Write, tmp_path: Path) -> None:
    write(tmp_path)
    for path in tmp_path.iterdir():
        if path.name not in FORMS:
            path.unlink()
    result = read_movielens(tmp_path)
    assert result.items is None
    assert result.users is None
    assert len(result.interactions) == 4


def test_a_running_index_is_read_as_an_order(tmp_path: Path) -> None:
    log = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7], "rating": 4, "timestamp": [2, 1, 1]})
    log.to_parquet(tmp_path / "interactions.parquet")
    result = read_movielens(tmp_path)
    assert result.time == "order"
    assert result.interactions["timestamp"].tolist() == [1, 0, 0]


def test_a_folder_without_any_form_is_told_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("")
    wanted = "looked for u.data, ratings.dat, ratings.csv, interactions.parquet; it has 'readme.txt'"
    with pytest.raises(DataError, match=wanted):
        read_movielens(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder '.*ml-9k'"):
        read_movielens(tmp_path / "ml-9k")


def test_a_csv_of_something_else_names_the_missing_column(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,movieId,rating,timestamp\n1,2,3,978300760\n")
    with pytest.raises(DataError, match=r"ratings.csv' has no column 'userId'; it has 'user'"):
        read_movielens(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1,2,3,4\n")
    with pytest.raises(DataError, match=r"ratings.dat' is not the MovieLens file"):
        read_movielens(tmp_path)


def test_a_line_with_too_few_fields_is_shown(tmp_path: Path) -> None:
    write_dat(tmp_path)
    (tmp_path / "movies.dat").write_text("10::Title only\n")
    with pytest.raises(DataError, match="expected 3 fields between '::' a line, got '10::Title only'"):
        read_movielens(tmp_path)
