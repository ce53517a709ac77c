"""Reading ahead, working, writing behind: three threads, one item each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlapped(items: Iterable[Item], work: Callable[[Item], Result], write: Callable[[Result], None]) -> None:
    """`write(work(item))` for every item, in order; the next item is read and the last result written meanwhile.

    At most one item is read ahead and one result waits to be written. The first error, wherever it comes from, ends
    it, after what was being written is written.
    """
    end: Any = object()
    source = iter(items)
    with ThreadPoolExecutor(1, "reader") as reader, ThreadPoolExecutor(1, "writer") as writer:
        ahead: Future[Any] = reader.submit(next, source, end)
        behind: Future[None] | None = None
        while (item := ahead.result()) is not end:
            ahead = reader.submit(next, source, end)
            result = work(item)
            del item
            if behind is not None:
                behind.result()
            behind = writer.submit(write, result)
            del result
        if behind is not None:
            behind.result()
