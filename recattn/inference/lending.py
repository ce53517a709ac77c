"""A scorer in the hands of several threads at once."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

_gate = threading.Condition()  # guards all below
_loans: weakref.WeakKeyDictionary[nn.Module, _Loan] = weakref.WeakKeyDictionary()
_threads: list[int] = []  # torch's threads as found by each of those inside who set them


@dataclass
class _Loan:
    """What a module was before the first of its users came, and how many use it now."""

    device: torch.device
    home: torch.device
    training: bool
    users: int = 0


@contextlib.contextmanager
def lent(module: nn.Module, device: torch.device, threads: int | None) -> Iterator[None]:
    """The module in eval mode on `device` inside the block; as it was once the last thread that uses it has left.

    A thread that wants it on another device waits until the others have left. `threads` is torch's number of threads
    on the CPU; whoever leaves sets the number again that there was before the first came.
    """
    with _gate:
        _gate.wait_for(lambda: module not in _loans or _loans[module].device == device)
        loan = _loans.get(module)
        if loan is None:
            home = next(module.parameters()).device
            loan = _loans[module] = _Loan(device, home, module.training)
            module.to(device).eval()
        loan.users += 1
        if threads is not None:
            _threads.append(torch.get_num_threads())
            torch.set_num_threads(threads)
    try:
        yield
    finally:
        with _gate:
            loan.users -= 1
            if not loan.users:
                del _loans[module]
                module.to(loan.home).train(loan.training)
                _gate.notify_all()
            if threads is not None:
                torch.set_num_threads(_threads[0])  # of this thread, with OpenMP, and of those to come
                _threads.pop()
