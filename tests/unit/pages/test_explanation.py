"""Tests of the page of explanations: what it shows, says and leaves out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.pages import Limits, explanation_page
from recattn.pages.explanation import moment, most_telling
from recattn.recommender import Recommender

SLATE = pd.DataFrame(
    {
        "user_id": ["u03"] * 4 + ["nobody"] * 2 + ["u05"],
        "item_id": ["i01", "i02", "i13", "nowhere", "i04", "i05", "nothing known"],
        "device": "desk",
        "hour": 1.0,
    }
)
EVIL = "<script>alert(\"x\")</script> & 'y'"


class Reader(HTMLParser):
    """Tags, attributes and text of a document; tags that are left open or closed twice."""

    VOID = ("meta", "link", "img", "br", "li")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text, self.open, self.faults = "", list[str](), list[str]()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""


@pytest.fixture(scope="module")
def page(rich: Recommender, world: Any) -> Any:
    """`page(slate, ...)`: the page of the shared model as a Reader."""

    def make(slate: pd.DataFrame = SLATE, **named: Any) -> Reader:
        asked = {"history": world.log, "users": world.users} | named
        return Reader(explanation_page(rich, slate, **asked))

    return make


def test_it_is_one_document_without_scripts_or_anything_from_elsewhere(page: Any) -> None:
    found = page()
    assert (found.open, found.faults) == ([], [])
    assert not set(found.tags) & {"script", "link", "img", "iframe", "object", "form"}
    names = {name for name, _ in found.attributes}
    assert not names & {"src", "href", "onclick", "onload", "action"}


def test_titles_and_ids_are_escaped_everywhere(page: Any, world: Any) -> None:
    titles = world.items[["item_id"]].assign(title=EVIL)
    slate = pd.concat([SLATE, SLATE.tail(1).assign(user_id=EVIL), SLATE.tail(1).assign(item_id=EVIL)])
    found = page(slate, titles=titles)
    assert (found.open, found.faults) == ([], [])
    assert "script" not in found.tags
    assert f"User {EVIL}" in found.text
    assert found.text.count(EVIL) > 20


def test_a_cell_is_the_change_that_explain_gives(page: Any, rich: Recommender, world: Any) -> None:
    changes = rich.explain(SLATE.head(3), history=world.log, users=world.users, top=99)
    texts = [value for name, value in page().attributes if name == "title" and value and " without " in value]
    assert len(texts) == len(changes) == 27
    for _, line in changes.iterrows():
        start = f"{line['item_id']} without {line['history_position'] + 1}. {line['history_item_id']} ("
        [text] = [text for text in texts if text.startswith(start)]
        assert float(text.rpartition(": ")[2].replace("−", "-")) == pytest.approx(-line["change"], abs=6e-4)


def test_reasons_name_the_largest_changes_in_words(page: Any, rich: Recommender, world: Any) -> None:
    first = rich.explain(SLATE.head(1), history=world.log, users=world.users, top=1).iloc[0]
    side = "lower" if first["change"] > 0 else "higher"
    words = f"without {first['history_item_id']} ({first['history_position'] + 1}) {abs(first['change']):.3f} {side}"
    assert f"i01 has {first['score']:.3f}; {words}" in page().text.replace("−", "-")


def test_the_history_stands_in_order_with_titles_and_moments(page: Any, world: Any) -> None:
    titles = world.items[["item_id"]].assign(title="Title of " + world.items["item_id"]).head(8)
    found = page(titles=titles)
    mine = world.log[world.log["user_id"] == "u03"].sort_values("timestamp")
    names = ["Title of " + item if item in set(titles["item_id"]) else item for item in mine["item_id"]]
    listed = [f"{name} {moment(when)}" for name, when in zip(names, mine["timestamp"], strict=True)]
    assert "".join(listed) in found.text
    assert [value for name, value in found.attributes if name == "value"][:3] == ["1", "2", "3"]


def test_what_has_no_score_or_no_history_is_said(page: Any) -> None:
    text = page().text
    assert "1 candidate the model does not know has no score: nowhere." in text
    assert "No history: the scores are what the model says of anybody" in text
    assert "The model knows none of the candidates: there is no score to explain." in text


def test_what_does_not_fit_is_counted(page: Any) -> None:
    text = page(limits=Limits(candidates=2, interactions=4)).text
    assert "The 2 candidates of the highest score; 1 more left out." in text
    assert "The 4 interactions that matter most for them, in order; 5 more left out" in text


def test_a_sample_is_drawn_where_there_are_more_requests_and_the_same_one_each_time(page: Any) -> None:
    slate = pd.DataFrame({"user_id": [f"u{n:02}" for n in range(11)], "item_id": "i04", "device": "desk", "hour": 1.0})
    texts = [page(slate, limits=Limits(requests=3)).text for _ in range(2)]
    assert texts[0] == texts[1]
    assert "A sample of 3 of 11 requests" in texts[0]
    users = re.findall(r"User (u\d\d)", texts[0])
    assert len(users) == 3
    assert users == sorted(users)
    assert re.findall(r"User (u\d\d)", page(slate, limits=Limits(requests=3, seed=1)).text) != users


def test_a_history_of_thousands_shows_what_the_model_sees(rich: Recommender) -> None:
    long = pd.DataFrame({"user_id": "u", "item_id": [f"i{n % 12:02}" for n in range(5000)], "timestamp": range(5000)})
    slate = pd.DataFrame({"user_id": ["u"], "item_id": ["i03"], "device": "desk", "hour": 1.0})
    users = pd.DataFrame({"user_id": ["u"], "plan": ["free"], "age": [3.0]})
    found = Reader(explanation_page(rich, slate, history=long, users=users))
    assert (
        "10 interactions, oldest first (the latest; the 4,990 before them are out of the model's sight)" in found.text
    )
    assert [value for name, value in found.attributes if name == "value"] == [str(n) for n in range(4991, 5001)]


def test_an_order_only_model_has_no_moments(world: Any, small_model: Any, small_train: Any) -> None:
    log = world.log[["user_id", "item_id"]]
    model = Recommender(small_model(time="order"), small_train(max_epochs=1)).fit(log)
    found = Reader(explanation_page(model, SLATE[["user_id", "item_id"]].head(2), history=log))
    assert "time" not in found.tags
    assert "9 interactions, oldest first" in found.text


def test_requests_go_by_their_id_and_moment(page: Any) -> None:
    slate = SLATE.head(2).assign(request_id=["first", "second"], timestamp=1_700_020_000)
    text = page(slate).text
    assert "request first 2023-11-15 03:46 UTC" in text
    assert "request second" in text


@pytest.mark.parametrize(
    ("titles", "fault"),
    [
        (pd.DataFrame({"item_id": ["i01"], "name": ["x"]}), r"titles has no column 'title'; it has 'item_id', 'name'"),
        (pd.DataFrame({"title": ["x"]}), r"titles has no column 'item_id'"),
        (pd.DataFrame({"item_id": [1, 2], "title": ["x", "y"]}), "item_id"),
    ],
)
def test_titles_without_their_columns_or_with_ids_of_another_kind_are_refused(
    page: Any, titles: pd.DataFrame, fault: str
) -> None:
    with pytest.raises(DataError, match=fault):
        page(titles=titles)


def test_missing_titles_fall_back_to_ids(page: Any) -> None:
    assert "i01 has" in page(titles=pd.DataFrame({"item_id": ["i01", None], "title": [None, "x"]})).text


def test_an_empty_slate_and_limits_below_one_are_refused(page: Any) -> None:
    with pytest.raises(DataError, match="slate has no rows"):
        page(SLATE.head(0))
    with pytest.raises(ConfigError, match="candidates of a page must be a whole number of at least 1, got 0"):
        Limits(candidates=0)


def test_the_most_telling_places_are_in_order_and_the_later_of_equals() -> None:
    assert most_telling(np.array([1.0, 3.0, 2.0, 1.0]), 3).tolist() == [1, 2, 3]
    assert most_telling(np.zeros(0), 3).tolist() == []
