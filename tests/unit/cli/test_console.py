from __future__ import annotations

import logging
import warnings

import pandas as pd
import pytest

from recattn.cli import console
from recattn.cli.console import hushed, log, say, show_table, talking, working
from recattn.schema import DataWarning


def test_news_and_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with talking():
        log.info("read [3] rows")
        log.debug("unseen")
        log.warning("odd")
        warnings.warn("two rows left out", DataWarning, stacklevel=1)
    assert capsys.readouterr() == ("", "read [3] rows\nwarning: odd\nwarning: two rows left out\n")


def test_warnings_of_other_libraries_are_for_debug(capsys: pytest.CaptureFixture[str]) -> None:
    for debug, shown in ((False, False), (True, True)):
        with talking(debug=debug):
            warnings.simplefilter("always")
            warnings.warn("old api", FutureWarning, stacklevel=1)
        assert ("old api" in capsys.readouterr().err) is shown


def test_talking_leaves_the_logger_as_it_was() -> None:
    before = (log.level, log.propagate, list(log.handlers))
    with talking(debug=True):
        assert log.level == logging.DEBUG
    assert (log.level, log.propagate, list(log.handlers)) == before


def test_hushed_lets_warnings_through(capsys: pytest.CaptureFixture[str]) -> None:
    with talking(), hushed():
        log.info("unseen")
        log.warning("seen")
    assert capsys.readouterr().err == "warning: seen\n"


def test_nothing_moves_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with working("scoring"):
        say("done")
    assert capsys.readouterr() == ("done\n", "")


TABLE = pd.DataFrame({"recommender": ["a[b]", "c"], "NDCG@10": [0.25, 0.5], "n": [1, 2], "p": [None, 0.01]})


def test_a_table_is_plain_text_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(TABLE, best=("NDCG@10",))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["recommender", "NDCG@10", "n", "p"], ["a[b]", "0.2500", "1"], ["c", "0.5000", "2", "0.0100"]]


def test_the_best_value_is_bold_at_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(console, "at_terminal", lambda: True)
    monkeypatch.setattr(console, "RESULTS", console.Console(force_terminal=True, width=80, color_system="truecolor"))
    show_table(TABLE, best=("NDCG@10",))
    out = capsys.readouterr().out
    assert "\x1b[1m 0.5000" in out
    assert "\x1b[1m 0.2500" not in out
    assert "a[b]" in out
