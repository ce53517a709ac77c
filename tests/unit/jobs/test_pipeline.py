from __future__ import annotations

import threading
import time

import pytest

from recattn.jobs.pipeline import overlapped


def test_items_pass_in_order_with_one_read_ahead_and_one_written_behind() -> None:
    read, written, most = [0], [], [0]

    def items():
        for number in range(20):
            read[0] += 1
            yield number

    def write(number: int) -> None:
        time.sleep(0.002)
        most[0] = max(most[0], read[0] - len(written))
        written.append(number)

    overlapped(items(), lambda number: number * 2, write)
    assert written == list(range(0, 40, 2))
    assert most[0] <= 4


@pytest.mark.parametrize("at", ["read", "work", "write"])
def test_an_error_anywhere_ends_it_and_leaves_no_thread(at: str) -> None:
    def fail(where: str, number: int) -> int:
        if at == where and number == 3:
            raise OSError(where)
        return number

    before, written = threading.active_count(), []
    with pytest.raises(OSError, match=at):
        overlapped(
            (fail("read", number) for number in range(9)),
            lambda number: fail("work", number),
            lambda number: written.append(fail("write", number)),
        )
    assert written == [0, 1, 2]
    assert threading.active_count() == before
