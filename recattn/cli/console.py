"""What a command says: results on stdout, news on stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from recattn.schema import DataWarning

log = logging.getLogger("recattn")
NEWS, RESULTS = Console(stderr=True), Console()  # they find the streams of the moment by themselves


@contextlib.contextmanager
def talking(*, debug: bool = False) -> Iterator[None]:
    """News of the library and its warnings go to stderr inside the block, coloured at a terminal, plain elsewhere.

    Warnings of other libraries are shown with `debug` only.
    """
    handler, level, up = _Speaker(), log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False

    def show(message: Warning | str, category: type[Warning], filename: str, *_: Any) -> None:
        if issubclass(category, DataWarning) or (category is UserWarning and "recattn" in filename):
            log.warning("%s", message)
        elif debug:
            log.debug("%s: %s: %s", filename, category.__name__, message)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            warnings.simplefilter("always", DataWarning)
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = up


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Warnings only, inside the block."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def said_once() -> Iterator[None]:
    """No line twice, inside the block: for work that passes one door several times."""
    said: set[str] = set()

    def new(record: logging.LogRecord) -> bool:
        told = len(said)
        said.add(record.getMessage())
        return len(said) > told

    log.addFilter(new)
    try:
        yield
    finally:
        log.removeFilter(new)


class _Speaker(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        _print(NEWS, text, "yellow" if record.levelno >= logging.WARNING else "dim")


@contextlib.contextmanager
def working(on: str) -> Iterator[None]:
    """A spinner with the time that has passed, at a terminal; nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=NEWS, transient=True, disable=not NEWS.is_terminal) as progress:
        progress.add_task(on, total=None)
        yield


def at_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def say(text: str = "", *, style: str | None = None) -> None:
    """Lines of the result."""
    _print(RESULTS, text, style)


def headline(text: str) -> None:
    """What the next lines are about."""
    say(f"\n{text}", style="bold")


def show_table(frame: pd.DataFrame, *, best: tuple[str, ...] = ()) -> None:
    """A small frame as text, numbers to the right; at a terminal the best value of the columns `best` is bold."""
    texts = frame.map(_cell)
    if not at_terminal():
        say(texts.to_string(index=False))
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for name in frame:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(str(name), justify="right" if numeric else "left", no_wrap=True)
    tops = pd.DataFrame({name: (frame[name] == frame[name].max()) & (name in best) for name in frame})
    for row, bold in zip(texts.itertuples(index=False), tops.itertuples(index=False), strict=True):
        table.add_row(*(Text(text, "bold" if top else "") for text, top in zip(row, bold, strict=True)))
    RESULTS.print(table)


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _print(console: Console, text: str, style: str | None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
