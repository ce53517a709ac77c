"""How many of the processor's threads torch uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from recattn.errors import ConfigError


@contextlib.contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """`count` torch threads inside the block, as before after it; None changes nothing."""
    if count is None:
        yield
        return
    if count < 1:
        raise ConfigError(f"threads must be at least 1, got {count!r}.")
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
