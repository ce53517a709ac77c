"""Reading a shop's folder: its forms, its units, its prices, what may be a feature."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.shop.columns import measured
from pipelines.shop.features import asked_for, usable
from pipelines.shop.read import read_shop
from pipelines.shop.values import read_categories, read_moments, read_prices, told
from recattn.config import Categorical, Multi, Numeric
from recattn.errors import ConfigError, DataError

SECOND = 1_400_000_000
LOG = [("A1", "0031", 5.0, SECOND), ("A1", "B02", 2.0, SECOND + 60), ("A2", "0031", 4.0, SECOND + 90)]
PATHS = [["Beauty", "Makeup", "Nails"], ["Beauty", "Gifts"]]
CRAWLED: dict[str, Any] = {"salesRank": {"Beauty": 7}, "related": {"also_bought": ["B02"]}}


def write_lines(path: Path, rows: list[dict[str, Any]], form: Callable[[Any], str] = json.dumps) -> None:
    text = "".join(form(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def write_2014(folder: Path) -> None:
    """Reviews in JSON, metadata in Python literals, as they were published."""
    keys = ("reviewerID", "asin", "overall", "unixReviewTime")
    write_lines(
        folder / "reviews_Beauty_5.json.gz", [dict(zip(keys, row, strict=True)) | {"reviewText": "!"} for row in LOG]
    )
    items = [
        {"asin": "0031", "title": "Red", "price": 12.5, "brand": "OPI", "categories": PATHS, **CRAWLED},
        {"asin": "B02", "title": "Blue", "categories": [["Beauty"]]},
    ]
    write_lines(folder / "meta_Beauty.json.gz", items, repr)


def write_2018(folder: Path) -> None:
    keys = ("reviewerID", "asin", "overall", "unixReviewTime")
    write_lines(folder / "All_Beauty_5.json", [dict(zip(keys, row, strict=True)) for row in LOG])
    flat = ["Beauty", "Makeup", "Nails", "Gifts"]
    items = [
        {"asin": "0031", "title": "Red", "price": "$12.50", "brand": "OPI", "category": flat, "rank": "1 in Beauty"},
        {"asin": "B02", "title": "Blue", "price": "", "brand": "", "category": ["Beauty"], "also_view": []},
        {"asin": "B02", "title": "Blue again", "price": "$3", "brand": "", "category": []},
    ]
    write_lines(folder / "meta_All_Beauty.json", items)


def write_2023(folder: Path) -> None:
    keys = ("user_id", "parent_asin", "rating", "timestamp")
    late = [(user, item, stars, 1000 * time + 7) for user, item, stars, time in LOG]
    rows = [dict(zip(keys, row, strict=True)) | {"asin": "?"} for row in late]
    write_lines(folder / "All_Beauty.jsonl.gz", rows)
    flat = ["Beauty", "Makeup", "Nails", "Gifts"]
    items = [
        {"parent_asin": "0031", "title": "Red", "price": "12.50", "store": "OPI", "categories": flat},
        {"parent_asin": "B02", "title": "Blue", "price": None, "store": None, "categories": ["Beauty"]},
    ]
    extra = {"average_rating": 4.1, "rating_number": 9, "bought_together": None, "main_category": "All Beauty"}
    write_lines(folder / "meta_All_Beauty.jsonl.gz", [row | extra for row in items])


def write_csv(folder: Path) -> None:
    frame = pd.DataFrame(LOG, columns=["customer_id", "sku", "quantity", "order date"])
    frame["order date"] = pd.to_datetime(frame["order date"], unit="s").astype(str)
    frame.to_csv(folder / "interactions.csv.gz", index=False)
    items = {"sku": ["0031", "B02"], "name": ["Red", "Blue"], "price": ["€12,50", None], "brand": ["OPI", "Unknown"]}
    paths = ["Beauty > Makeup > Nails|Gifts", "Beauty"]
    pd.DataFrame(items).assign(category=paths, review_count=3).to_csv(folder / "items.csv", index=False)


def write_parquet(folder: Path) -> None:
    frame = pd.DataFrame(LOG, columns=["user_id", "item_id", "rating", "timestamp"])
    frame.to_parquet(folder / "interactions.parquet")
    items = {"item_id": ["0031", "B02"], "title": ["Red", "Blue"], "price": [12.5, None], "brand": ["OPI", "Unknown"]}
    listed = [["Beauty", "Makeup", "Nails", "Gifts"], ["Beauty"]]
    pd.DataFrame(items).assign(categories=listed, sales_rank=[1.0, 2.0]).to_parquet(folder / "items.parquet")


Write = Callable[[Path], None]
FORMS: list[Write] = [write_2014, write_2018, write_2023, write_csv, write_parquet]


@pytest.mark.parametrize("write", FORMS)
def test_every_form_gives_the_same_interactions(write: Write, tmp_path: Path) -> None:
    write(tmp_path)
    log = read_shop(tmp_path).interactions
    assert list(log) == ["user_id", "item_id", "timestamp", "weight"]
    assert log.to_numpy().tolist() == [[user, item, time, weight] for user, item, weight, time in LOG]


@pytest.mark.parametrize("write", FORMS)
def test_every_form_gives_the_same_items(write: Write, tmp_path: Path) -> None:
    write(tmp_path)
    items = read_shop(tmp_path).items
    assert items is not None
    assert items["item_id"].tolist() == ["0031", "B02"]
    assert items["title"].tolist() == ["Red", "Blue"]
    assert items["price"].iloc[0] == 12.5
    assert np.isnan(items["price"].iloc[1])
    assert items["brand"].iloc[0] == "OPI"
    assert pd.isna(items["brand"].iloc[1])
    assert [list(row) for row in items["categories"]] == [["Beauty", "Makeup", "Nails", "Gifts"], ["Beauty"]]


@pytest.mark.parametrize(
    ("write", "columns"),
    [
        (write_2014, "salesRank, related"),
        (write_2018, "rank, also_view"),
        (write_2023, "average_rating, rating_number, bought_together"),
        (write_csv, "review_count"),
        (write_parquet, "sales_rank"),
    ],
)
def test_columns_measured_at_the_crawl_are_left_out_in_one_line(write: Write, columns: str, tmp_path: Path) -> None:
    write(tmp_path)
    shop = read_shop(tmp_path)
    assert shop.items is not None
    assert [note for note in shop.notes if "left out" in note] == [
        f"left out, measured after the interactions: {columns}"
    ]
    assert not set(columns.split(", ")) & set(shop.items)


MEASURED = """
    sales_rank salesRank rank bestseller average_rating avgRating rating_number num_reviews review_count reviewCount
    numreviews stars also_buy alsoViewed bought_together similar_item related units_sold popularity
"""


@pytest.mark.parametrize("name", MEASURED.split())
def test_what_a_crawl_measured_is_known_by_its_name(name: str) -> None:
    assert measured(name) is not None


@pytest.mark.parametrize("name", ["title", "price", "preview_url", "operating_system", "brand", "frankness", "color"])
def test_other_columns_are_not_taken_for_measured_ones(name: str) -> None:
    assert measured(name) is None


def test_asking_for_a_measured_column_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"'sales_rank', which tells its sales .* leak the future. Leave it out"):
        asked_for(["price", "sales_rank"])
    with pytest.raises(ConfigError, match="'also_buy', which tells what others bought"):
        asked_for([{"kind": "multi", "column": "also_buy"}])


def test_features_are_the_usual_ones_that_have_values() -> None:
    items = pd.DataFrame({"item_id": ["a"], "brand": [None], "categories": [["x"]], "price": [1.0]})
    assert usable(None, items) == [Multi("categories"), Numeric("price", log=True)]
    assert usable(None, None) == []


def test_features_by_name_and_by_kind_come_in_the_order_asked() -> None:
    asked = asked_for(["brand", {"kind": "categorical", "column": "color"}])
    assert asked == [Categorical("brand"), Categorical("color")]
    with pytest.raises(ConfigError, match="known by name are categories, brand, price"):
        asked_for(["color"])


def test_features_without_an_items_file_are_refused(tmp_path: Path) -> None:
    write_2014(tmp_path)
    (tmp_path / "meta_Beauty.json.gz").unlink()
    shop = read_shop(tmp_path)
    assert shop.items is None
    assert "can never be recommended" in shop.notes[-1]
    with pytest.raises(ConfigError, match="asks for 'price', but the folder has no items file"):
        usable([Numeric("price")], shop.items)


def test_a_further_column_is_kept_and_a_missing_one_named(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    pd.read_parquet(tmp_path / "items.parquet").assign(color="red").to_parquet(tmp_path / "items.parquet")
    items = read_shop(tmp_path, further=["color"]).items
    assert items is not None
    assert items["color"].tolist() == ["red", "red"]
    with pytest.raises(DataError, match=r"no column 'colour' for a feature; .* Did you mean 'color'"):
        read_shop(tmp_path, further=["colour"])


@pytest.mark.parametrize(("scale", "unit"), [(1, "s"), (1000, "ms"), (10**6, "us"), (10**9, "ns")])
def test_the_unit_of_time_is_told_by_size(scale: int, unit: str) -> None:
    column = pd.Series([SECOND * scale, (SECOND + 1) * scale], name="ts")
    assert read_moments(column, "log").unit == unit
    assert read_moments(column.astype(str), "log").unit == unit


def test_the_unit_is_said(tmp_path: Path) -> None:
    write_2023(tmp_path)
    assert read_shop(tmp_path).notes[0] == "3 interactions, 2014-05-13 to 2014-05-13; timestamp is read as ms"


def test_mixed_units_are_refused_with_their_counts() -> None:
    column = pd.Series([SECOND, SECOND * 1000, SECOND * 1000], name="ts")
    with pytest.raises(DataError, match="column 'ts' mixes units: 1 rows in s and 2 rows in ms"):
        read_moments(column, "log")


def test_numbers_that_count_no_time_are_refused() -> None:
    with pytest.raises(DataError, match=r"'ts' has 2 of 3 rows that count no time: .*\[?1, 2"):
        read_moments(pd.Series([1, 2, SECOND], name="ts"), "log")


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("$12.99", 12.99),
        ("12.99", 12.99),
        ("US$ 7", 7.0),
        ("1,299.00", 1299.0),
        ("1.299,00 €", 1299.0),
        ("12,99 EUR", 12.99),
        ("1,299", 1299.0),
        ("Rs. 500", 500.0),
    ],
)
def test_prices_are_read_from_text(text: str, price: float) -> None:
    assert read_prices(pd.Series([text])).values.tolist() == [price]


def test_ranges_and_other_texts_are_no_prices_and_are_counted() -> None:
    prices = read_prices(pd.Series(["$5.00 - $9.00", "from $5", "call us", None, "None", 3.5], dtype=object))
    assert np.isnan(prices.values).tolist() == [True] * 5 + [False]
    assert told(prices) == "price: 2 ranges and 1 unreadable ('call us') of 6 count as missing"


def test_negative_prices_are_missing() -> None:
    prices = read_prices(pd.Series([-1.0, 0.0, 2.0]))
    assert np.isnan(prices.values).tolist() == [True, False, False]
    assert told(prices) == "price: 1 unreadable ('-1.0') of 3 count as missing"


def test_nested_categories_become_distinct_values() -> None:
    column = pd.Series([PATHS, "A|B|A", "A > B", None, [], ["x", None, "Unknown"]], dtype=object)
    flat = [["Beauty", "Makeup", "Nails", "Gifts"], ["A", "B"], ["A", "B"], [], [], ["x"]]
    assert read_categories(column, None) == flat
    assert read_categories(column, 1) == [["Nails", "Gifts"], ["A"], ["B"], [], [], ["x"]]


def test_missing_columns_are_named_with_what_was_looked_for(tmp_path: Path) -> None:
    pd.DataFrame({"user_id": [1], "thing": [2], "ts": [SECOND]}).to_csv(tmp_path / "interactions.csv", index=False)
    with pytest.raises(DataError, match=r"no column for 'item_id'; it has 'user_id', 'thing', 'ts'.*--columns"):
        read_shop(tmp_path)
    assert read_shop(tmp_path, columns={"item_id": "thing"}).interactions["item_id"].tolist() == ["2"]
    with pytest.raises(DataError, match=r"no column 'it', which columns=\{item_id: it\} asks for"):
        read_shop(tmp_path, columns={"item_id": "it"})


def test_ids_of_numbers_are_text_in_both_files(tmp_path: Path) -> None:
    pd.DataFrame({"user": [7], "item": [3.0], "ts": [SECOND]}).to_parquet(tmp_path / "interactions.parquet")
    pd.DataFrame({"item": [3, 4], "price": [1.0, 2.0]}).to_parquet(tmp_path / "items.parquet")
    shop = read_shop(tmp_path)
    assert shop.interactions["item_id"].tolist() == ["3"]
    assert shop.items is not None
    assert shop.items["item_id"].tolist() == ["3", "4"]
    assert any("1 of 2 items of the file were never touched" in note for note in shop.notes)
    only = read_shop(tmp_path, catalog="interacted").items
    assert only is not None
    assert only["item_id"].tolist() == ["3"]


def test_missing_and_broken_ids_are_refused(tmp_path: Path) -> None:
    log = pd.DataFrame({"user": ["u", "v"], "item": [3.0, None], "ts": SECOND})
    log.to_parquet(tmp_path / "interactions.parquet")
    with pytest.raises(DataError, match="1 of 2 rows have no item_id"):
        read_shop(tmp_path)
    log.assign(item=[3.0, 3.5]).to_parquet(tmp_path / "interactions.parquet")
    with pytest.raises(DataError, match=r"item_id holds numbers that are no ids \(3.5\)"):
        read_shop(tmp_path)


def test_items_that_the_items_file_lacks_are_counted(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    pd.read_parquet(tmp_path / "items.parquet").head(1).to_parquet(tmp_path / "items.parquet")
    assert "1 items of the interactions are not in the items file ('B02')" in read_shop(tmp_path).notes


def test_an_items_file_of_another_shop_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    items = pd.read_parquet(tmp_path / "items.parquet")
    items.assign(item_id=["x", "y"]).to_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError, match="none of the items of the interactions: it has 'x', 'y', they have '0031'"):
        read_shop(tmp_path)


def test_repeated_items_count_once(tmp_path: Path) -> None:
    write_2018(tmp_path)
    assert "1 rows repeat an item; the first of each counts" in read_shop(tmp_path).notes


def test_behaviours_and_moments_of_arrival_are_kept(tmp_path: Path) -> None:
    log = pd.DataFrame(LOG, columns=["user_id", "item_id", "quantity", "time"]).assign(behavior="buy")
    log.to_json(tmp_path / "interactions.jsonl", orient="records", lines=True)
    items = pd.DataFrame({"item_id": ["0031", "B02"], "available_from": [1000 * SECOND, 1000 * SECOND + 5000]})
    items.to_csv(tmp_path / "items.csv", index=False)
    shop = read_shop(tmp_path)
    assert shop.interactions["event_type"].tolist() == ["buy"] * 3
    assert shop.items is not None
    assert shop.items["available_from"].tolist() == [SECOND, SECOND + 5]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    write_2014(tmp_path)
    with (tmp_path / "broken.json").open("w") as out:
        out.write(json.dumps({"reviewerID": "A", "asin": "B", "unixReviewTime": SECOND}) + "\n{'asin': open('x')}\n")
    (tmp_path / "reviews_Beauty_5.json.gz").unlink()
    with pytest.raises(DataError, match=r"broken.json', line 2: expected one JSON object, got"):
        read_shop(tmp_path)


def test_a_folder_that_leaves_a_choice_is_refused(tmp_path: Path) -> None:
    write_2014(tmp_path)
    write_2018(tmp_path)
    with pytest.raises(DataError, match=r"2 files that could be the interactions: 'All_Beauty_5.json', 'reviews"):
        read_shop(tmp_path)


def test_a_folder_without_interactions_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"holds no interactions; it has 'notes.txt'. Looked for interactions\.\*"):
        read_shop(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        read_shop(tmp_path / "nowhere")
