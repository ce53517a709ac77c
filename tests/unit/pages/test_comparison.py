"""The page of a comparison: whole, by itself, and safe whatever things are called."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from recattn.comparison import ComparisonResult, Contender, compare
from recattn.evaluation import MRR, NDCG, evaluate
from recattn.pages import comparison_page
from recattn.pages.plots import Scale, histogram, signed, tick

EVIL = "<script>alert('x')</script> & \"co\""
VOID = {"meta", "circle", "rect", "path"}


class Nesting(HTMLParser):
    """Whether every element that is opened is closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "li" and self.open[-1] == "li":
            self.open.pop()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def result() -> ComparisonResult:
    users = np.arange(200)
    truth = pd.DataFrame({"user_id": users, "item_id": [f"{EVIL} {user % 9}" for user in users]})
    segments = truth[["user_id"]].assign(history_length=users % 30, device=np.where(users % 2, EVIL, "phone"))

    def contender(name: str, found: float, **more: object) -> Contender:
        hits = np.random.default_rng(int(found * 100)).random(200) < found
        lists = truth.assign(rank=1)
        lists["item_id"] = lists["item_id"].where(hits, "other")
        report = evaluate(lists, truth, [NDCG(10), MRR(10)], segments=segments)
        return Contender(name, (report,), (name,), lists, **more)  # type: ignore[arg-type]

    curves = {"valid/ndcg_at_10": {0: 0.1, 1: 0.3}}
    return compare(
        [
            contender("base", 0.3, params={"dim": "32"}, cost={"fit_seconds": 60.0}, curves=curves),
            contender(EVIL, 0.7, params={"dim": EVIL}, cost={"fit_seconds": 7200.0}, curves=curves),
            contender("third", 0.2),
        ]
    )


def test_the_page_is_one_well_formed_document_with_nothing_from_elsewhere(result: ComparisonResult) -> None:
    page = comparison_page(result)
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert not {"script", "link", "img", "iframe"} & set(parser.tags)
    assert not re.search(r'(src|href)=(?!"#)', page)
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_names_are_escaped_wherever_they_stand(result: ComparisonResult) -> None:
    page = comparison_page(result)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10


def test_the_page_says_what_was_found_and_links_to_all_of_it(result: ComparisonResult) -> None:
    page = comparison_page(result)
    for anchor in re.findall(r'href="#([\w-]+)"', page):
        assert f'id="{anchor}"' in page
    [better] = result.headline[result.headline["contender"] == EVIL].to_dict("records")
    assert f"<b>{signed(better['difference'])}</b>" in page
    assert page.count("class='badge better'") == 1
    assert "2.0 h<small>× 120</small>" in page
    assert page.count("<h3>history length</h3>") == 1


def test_sections_without_figures_are_left_out() -> None:
    truth = pd.DataFrame({"user_id": range(50), "item_id": "a"})
    lists = truth.assign(rank=1)
    page = comparison_page(compare({name: evaluate(lists, truth, NDCG(10)) for name in "ab"}))
    assert "Learning curves" not in page
    assert "For whom" not in page
    assert "b is equal to a in every request." in page


def test_a_scale_holds_its_values_and_zero() -> None:
    scale = Scale.around_zero([0.01, 0.05, float("nan")])
    assert 0 < scale.percent(0) < scale.percent(0.05) < 100
    assert [tick(mark) for mark in scale.ticks()] == ["0", "+0.02", "+0.04"]
    assert Scale.around_zero([0.0]).percent(0) == 50


def test_numbers_have_a_sign_and_a_real_minus() -> None:
    assert [signed(0.1), signed(-0.00004), signed(-0.02)] == ["+0.1000", "0.0000", "−0.0200"]


def test_a_histogram_has_a_bar_for_each_bin_that_holds_something() -> None:
    drawn = histogram([0, 4, 1], [-1.0, -0.3, 0.3, 1.0], "x")
    assert drawn.count("<rect") == 2
